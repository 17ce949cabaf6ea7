package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
)

func newCredentialsImport(o *options) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Register many credentials from CSV or JSON, all or none",
		Long: "Register many credentials from a CSV file with a head line, or a JSON list of objects; - is standard\n" +
			"input. The members are those of the configuration file, but client_secret holds the secret itself,\n" +
			"which is sealed in the database. In CSV, scopes and expected_networks are separated by blanks, and\n" +
			"labels are written env=prod tier=1. A key must not be\n" +
			"encrypted. Delete the file afterwards: it holds secrets. Up to 100 of them are tried at\n" +
			"once, within rate, budget and passive of their providers; exit 1: one of those is not ok.",
		Example: "  keyrounds credentials import credentials.csv\n  jq … | keyrounds credentials import --format json -",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format == "" {
				format = strings.TrimPrefix(filepath.Ext(args[0]), ".")
			}
			var rows []importRow
			err := awaiting(cmd.ErrOrStderr(), "reading "+args[0], func() (err error) {
				rows, err = readImport(cmd.InOrStdin(), args[0], format)
				return err
			})
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				return fmt.Errorf("%s: no credentials in it", args[0])
			}
			wrong := map[int][]string{} // of which row
			body := importable(rows, wrong)
			d, err := o.deskOfAll(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			warnings, err := d.lookAt(cmd, args[0], body, wrong)
			if err == nil {
				err = wrongRows(args[0], rows, wrong)
			}
			if err != nil {
				return err
			}
			warnOf(cmd, warnings)
			var out api.ImportOut
			err = awaiting(cmd.ErrOrStderr(), "registering "+args[0], func() error {
				return d.Post(cmd.Context(), "/credentials/import"+whenFirst(cmd), body, &out)
			})
			if cmd.Context().Err() != nil {
				return &halfwayError{args[0]}
			}
			if err != nil {
				return fmt.Errorf("nothing was imported: %w", plainly(err))
			}
			registered := fmt.Sprintf("%d credentials are registered; delete %s, it holds their secrets", out.Registered, args[0])
			if out.Registered == 1 {
				registered = fmt.Sprintf("one credential is registered; delete %s, it holds its secret", args[0])
			}
			fmt.Fprintln(cmd.OutOrStdout(), registered)
			names := make([]string, len(rows))
			for i, row := range rows {
				names[i] = row.Name
			}
			return tryFirst(cmd, d, names)
		},
	}
	tries(cmd)
	cmd.Flags().StringVar(&format, "format", "", "csv or json (default by the file's name)")
	return cmd
}

// halfwayError is an import that was interrupted when it was sent.
type halfwayError struct{ file string }

func (e *halfwayError) Error() string { return "the import of " + e.file + " was interrupted" }

func (e *halfwayError) Hint() string {
	return "all of it is registered, or none: see keyrounds credentials list"
}

func (e *halfwayError) Unwrap() error { return errInterrupted }
