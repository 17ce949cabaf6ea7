package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
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
			a, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			creds, secrets, err := importable(a.Config(), args[0], rows)
			if err != nil {
				return err
			}
			if err := warnOfDoubts(cmd, a, creds...); err != nil {
				return err
			}
			err = counting(cmd.ErrOrStderr(), len(creds), "registered", "registering "+args[0], func(at func(int)) error {
				return a.Actions.Add(cmd.Context(), actor(), creds, secrets, firstCheck(cmd), at)
			})
			if err != nil {
				return fmt.Errorf("nothing was imported: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d credentials are registered; delete %s, it holds their secrets\n", len(creds), args[0])
			names := make([]string, len(creds))
			for i, c := range creds {
				names[i] = c.Name
			}
			return tryFirst(cmd, a, names)
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

// importable checks every row and returns in one error what is wrong: the first problems, and how many more there are.
func importable(c *config.Config, file string, rows []importRow) ([]credential.Credential, []secret.Value, error) {
	var (
		creds   = make([]credential.Credential, 0, len(rows))
		secrets = make([]secret.Value, 0, len(rows))
		wrong   []string
		names   = make(map[string]bool, len(rows))
	)
	for _, row := range rows {
		bad := func(format string, args ...any) {
			wrong = append(wrong, fmt.Sprintf("%s%s: credential %q: ", file, row.at, row.Name)+fmt.Sprintf(format, args...))
		}
		if row.KeyPassphrase != "" {
			bad("key_passphrase: references are named in the configuration file only; open the key first, or add it by itself")
			row.KeyPassphrase = ""
		}
		if row.Secret != "" {
			bad("secret: references are named in the configuration file only; give client_secret")
		}
		row.Secret = secret.SchemeSealed + ":"
		cred, problems := row.Credential(c.Defaults)
		for _, p := range append(problems, config.CheckProvider(cred, c.Providers)...) {
			bad("%s: %s", p.Field, p.Message)
		}
		if names[row.Name] {
			bad("name: given twice")
		}
		names[row.Name] = true
		v, err := secret.Parse([]byte(row.ClientSecret))
		if err != nil {
			bad("client_secret: %v", err)
			if errors.Is(err, secret.ErrLocked) {
				bad("client_secret: an import opens no keys; add this one by credentials add --key-passphrase")
			}
		}
		creds, secrets = append(creds, cred), append(secrets, v)
	}
	if len(rows) == 0 {
		wrong = append(wrong, file+": no credentials in it")
	}
	if len(wrong) > 0 {
		if more := config.More(len(wrong)); more != "" {
			wrong = append(wrong[:config.MostShown], more)
		}
		return nil, nil, &hintError{errors.New(strings.Join(wrong, "\n")), "nothing was imported; mend these and import again"}
	}
	return creds, secrets, nil
}
