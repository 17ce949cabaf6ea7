package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/secret"
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
			body, err := importable(args[0], rows)
			if err != nil {
				return err
			}
			d, err := o.deskOfAll(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			var out api.ImportOut
			err = awaiting(cmd.ErrOrStderr(), "looking at "+args[0], func() error {
				return d.Post(cmd.Context(), "/credentials/import"+dryRun, body, &out)
			})
			if err != nil {
				return wrongRows(args[0], rows, err)
			}
			warnOf(cmd, out.Warnings)
			err = awaiting(cmd.ErrOrStderr(), "registering "+args[0], func() error {
				return d.Post(cmd.Context(), "/credentials/import"+whenFirst(cmd), body, &out)
			})
			if err != nil {
				return fmt.Errorf("nothing was imported: %w", plainly(err))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d credentials are registered; delete %s, it holds their secrets\n", out.Registered, args[0])
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

// importRow is one credential of a file, and where it stands: a line of CSV, a place in a list.
type importRow struct {
	config.CredentialIn
	ClientSecret string `json:"client_secret"`
	at           string
}

const maxImport = 64 << 20

func readImport(stdin io.Reader, name, format string) ([]importRow, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	in = io.LimitReader(in, maxImport)
	switch format {
	case "csv":
		return readCSV(in)
	case "json":
		return readJSONList(in)
	}
	return nil, &hintError{fmt.Errorf("unknown format %q", format), "--format csv or --format json"}
}

// readJSONList never shows what it could not read: it may be a secret.
func readJSONList(in io.Reader) ([]importRow, error) {
	d := json.NewDecoder(in)
	d.DisallowUnknownFields()
	var rows []importRow
	err := d.Decode(&rows)
	var typeError *json.UnmarshalTypeError
	switch {
	case errors.As(err, &typeError):
		return nil, fmt.Errorf("the member %s is a %s, which does not fit", typeError.Field, typeError.Value)
	case err != nil && strings.Contains(err.Error(), "unknown field"):
		return nil, &hintError{errors.New(strings.TrimPrefix(err.Error(), "json: ")), "known: " + joinComma(importFields)}
	case err != nil:
		return nil, &hintError{
			fmt.Errorf("not a JSON list of objects, at byte %d", d.InputOffset()),
			`[{"name": "ats-sync", "provider": "smartrecruiters", "client_id": "…", "client_secret": "…"}]`,
		}
	}
	for i := range rows {
		rows[i].at = fmt.Sprintf("[%d]", i)
	}
	return rows, nil
}

var importFields = []string{
	"name", "provider", "client_id", "client_secret", "description", "scopes", "owner", "labels", "schedule",
	"unused_after", "max_age", "created", "expires", "canary", "expected_networks", "key_id",
}

func readCSV(in io.Reader) ([]importRow, error) {
	r := csv.NewReader(in)
	r.TrimLeadingSpace = true
	head, err := r.Read()
	if err != nil {
		return nil, &hintError{errors.New("the file has no head line"), "the first line names the columns: " + joinComma(importFields)}
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	for _, h := range head {
		if !slices.Contains(importFields, h) {
			return nil, &hintError{fmt.Errorf("unknown column %q", printable(h, false)), "known: " + joinComma(importFields)}
		}
	}
	var rows []importRow
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			var pe *csv.ParseError
			if errors.As(err, &pe) {
				return nil, fmt.Errorf("line %d: %w", pe.Line, pe.Err)
			}
			return nil, err
		}
		line, _ := r.FieldPos(0)
		row := importRow{at: fmt.Sprintf(":%d", line)}
		for i, cell := range cells {
			if err := row.set(head[i], cell); err != nil {
				return nil, fmt.Errorf("line %d: %s: %w", line, head[i], err)
			}
		}
		rows = append(rows, row)
	}
}

func (row *importRow) set(column, cell string) (err error) {
	switch column {
	case "name":
		row.Name = cell
	case "provider":
		row.Provider = cell
	case "client_id":
		row.ClientID = cell
	case "client_secret":
		row.ClientSecret = cell
	case "description":
		row.Description = cell
	case "scopes":
		row.Scopes = strings.Fields(cell)
	case "owner":
		row.Owner = cell
	case "schedule":
		row.Schedule = cell
	case "unused_after":
		row.UnusedAfter = cell
	case "max_age":
		row.MaxAge = cell
	case "created":
		row.Created = cell
	case "expires":
		row.Expires = cell
	case "key_id":
		row.KeyID = cell
	case "expected_networks":
		row.ExpectedNetworks = strings.Fields(cell)
	case "canary":
		if cell != "" {
			row.Canary, err = strconv.ParseBool(cell)
		}
	case "labels":
		row.Labels = map[string]string{}
		for _, pair := range strings.Fields(cell) {
			k, v, ok := strings.Cut(pair, "=")
			if !ok {
				return errors.New("labels are written env=prod")
			}
			row.Labels[k] = v
		}
	}
	return err
}

// toImport is the body of an import.
type toImport struct {
	Credentials []withSecret `json:"credentials"`
}

// importable is the body of an import, where nothing in the file is wrong that can be seen here. Its error says all that is: the first
// problems, and how many more there are.
func importable(file string, rows []importRow) (body toImport, err error) {
	var wrong []string
	for i, row := range rows {
		bad := func(text string) { wrong = append(wrong, inRow(file, rows[i], text)) }
		if row.KeyPassphrase != "" {
			bad("key_passphrase: references are named in the configuration file only; open the key first, or add it by itself")
		}
		if row.Secret != "" {
			bad("secret: references are named in the configuration file only; give client_secret")
		}
		v, err := secret.Parse([]byte(row.ClientSecret))
		if err != nil {
			bad("client_secret: " + err.Error())
		}
		if errors.Is(err, secret.ErrLocked) {
			bad("client_secret: an import opens no keys; add this one by credentials add --key-passphrase")
		}
		body.Credentials = append(body.Credentials, toAdd(row.CredentialIn, v))
	}
	if len(rows) == 0 {
		wrong = append(wrong, file+": no credentials in it")
	}
	return body, wrongImport(wrong)
}

func inRow(file string, row importRow, text string) string {
	return fmt.Sprintf("%s%s: credential %q: %s", file, row.at, row.Name, text)
}

func wrongImport(wrong []string) error {
	if len(wrong) == 0 {
		return nil
	}
	if more := config.More(len(wrong)); more != "" {
		wrong = append(wrong[:config.MostShown], more)
	}
	return &hintError{errors.New(strings.Join(wrong, "\n")), "nothing was imported; mend these and import again"}
}

// ofRow is what the API calls a member of a row.
var ofRow = regexp.MustCompile(`^body\.credentials\[(\d+)\]`)

// wrongRows says in which row of the file stands what a daemon finds wrong.
func wrongRows(file string, rows []importRow, err error) error {
	var p *client.Problem
	if !errors.As(err, &p) || len(p.Errors) == 0 {
		return fmt.Errorf("nothing was imported: %w", plainly(err))
	}
	var wrong []string
	for _, w := range p.Errors {
		text := strings.TrimSuffix(printable(w.Detail, false), ".")
		if m := ofRow.FindStringSubmatch(w.Where); m != nil {
			if i, err := strconv.Atoi(m[1]); err == nil && i < len(rows) {
				text = inRow(file, rows[i], text)
			}
		}
		wrong = append(wrong, text)
	}
	return wrongImport(wrong)
}
