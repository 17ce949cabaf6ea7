package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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
	case errors.As(err, &typeError) && typeError.Field != "":
		path := strings.Split(typeError.Field, ".")
		return nil, &hintError{
			fmt.Errorf("%s of one of them is %s, which does not fit", path[len(path)-1], jsonKind(typeError.Value)),
			"the members are written as in the configuration file; it is before byte " + strconv.FormatInt(d.InputOffset()+1, 10),
		}
	case err != nil && strings.Contains(err.Error(), "unknown field"):
		_, name, _ := strings.Cut(err.Error(), "unknown field ")
		return nil, &hintError{fmt.Errorf("there is no member %s", printable(name, false)), "known: " + joinComma(importFields)}
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

// jsonKind is what package json calls a sort of value, in words.
func jsonKind(sort string) string {
	switch sort {
	case "array":
		return "a list"
	case "object":
		return "an object"
	case "string":
		return "a text"
	case "bool":
		return "true or false"
	}
	return "a number"
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
			return nil, notCSV(err, len(cells), len(head))
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

// notCSV says at which line a file is no CSV.
func notCSV(err error, cells, columns int) error {
	var at *csv.ParseError
	switch {
	case !errors.As(err, &at):
		return err
	case errors.Is(err, csv.ErrFieldCount):
		return &hintError{
			fmt.Errorf("line %d has %d cells, and the head line names %d columns", at.Line, cells, columns),
			`a cell with a comma in it stands in quotes: "a, b"`,
		}
	}
	return &hintError{
		fmt.Errorf("line %d: a quote stands where none may", at.StartLine),
		`a cell with quotes in it stands in quotes, and each of them is written twice: "say ""a"""`,
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
			if row.Canary, err = strconv.ParseBool(cell); err != nil {
				return errors.New("it may be true or false")
			}
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

// importable is the body of an import. What is wrong with a row and can be seen here, wrong has by the number of the row.
func importable(rows []importRow, wrong map[int][]string) (body toImport) {
	for i, row := range rows {
		bad := func(text string) { wrong[i] = append(wrong[i], text) }
		if row.KeyPassphrase != "" {
			bad("key_passphrase: references are named in the configuration file only; open the key first, or add it by itself")
		}
		if row.Secret != "" {
			bad("secret: references are named in the configuration file only; give client_secret")
		}
		v, err := secret.Parse([]byte(row.ClientSecret))
		switch {
		case errors.Is(err, secret.ErrLocked):
			bad("client_secret: an import opens no keys; add this one by credentials add --key-passphrase")
		case err != nil:
			bad("client_secret: " + err.Error())
		}
		row.Secret, row.KeyPassphrase = "", ""
		body.Credentials = append(body.Credentials, toAdd(row.CredentialIn, v))
	}
	return body
}

// lookAt asks what is wrong with the rows of an import, and adds it to wrong; and what is rarely meant. A desk names all that is wrong
// in what a row says only of rows that have the shape of one, so those that have not are told here, and not shown to it.
func (d *desk) lookAt(cmd *cobra.Command, file string, body toImport, wrong map[int][]string) ([]api.Warning, error) {
	var shaped toImport
	var at []int // where a row of shaped stands in body
	for i, c := range body.Credentials {
		bad := misshapen(c.CredentialIn)
		for _, p := range bad {
			wrong[i] = append(wrong[i], p)
		}
		if len(bad) == 0 {
			shaped.Credentials, at = append(shaped.Credentials, c), append(at, i)
		}
	}
	if len(at) == 0 {
		return nil, nil
	}
	var out api.ImportOut
	err := awaiting(cmd.ErrOrStderr(), "looking at "+file, func() error {
		return d.Post(cmd.Context(), "/credentials/import"+dryRun, shaped, &out)
	})
	if cmd.Context().Err() != nil {
		return nil, errInterrupted
	}
	var p *client.Problem
	if !errors.As(err, &p) || len(p.Errors) == 0 {
		return out.Warnings, plainly(err)
	}
	for _, w := range p.Errors {
		m := ofRow.FindStringSubmatch(w.Where)
		if m == nil {
			return nil, plainly(err)
		}
		i, _ := strconv.Atoi(m[1])
		if i >= len(at) {
			return nil, plainly(err)
		}
		text := small(strings.TrimSuffix(printable(w.Detail, false), "."))
		wrong[at[i]] = append(wrong[at[i]], strings.Replace(text, "the member credentials["+m[1]+"].", "the member ", 1))
	}
	return out.Warnings, nil
}

// misshapen is what no daemon would take for a credential, whatever it has.
func misshapen(in config.CredentialIn) (all []string) {
	if !credential.ValidName(in.Name) {
		all = append(all, "name: it may be 1 to 63 lower-case letters, digits and hyphens")
	}
	for field, text := range map[string]string{"provider": in.Provider, "client_id": in.ClientID} {
		if text == "" {
			all = append(all, field+": it is missing")
		}
	}
	slices.Sort(all)
	return all
}

// ofRow is what the API calls a member of a row.
var ofRow = regexp.MustCompile(`^body\.credentials\[(\d+)\]`)

// wrongRows says in which row of the file stands what is wrong: the first problems, and how many more there are.
func wrongRows(file string, rows []importRow, wrong map[int][]string) error {
	var lines []string
	for _, i := range slices.Sorted(maps.Keys(wrong)) {
		for _, text := range wrong[i] {
			lines = append(lines, fmt.Sprintf("%s%s: credential %q: %s", file, rows[i].at, printable(rows[i].Name, false), text))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	if more := config.More(len(lines)); more != "" {
		lines = append(lines[:config.MostShown], more)
	}
	return &hintError{errors.New(strings.Join(lines, "\n")), "nothing was imported; mend these and import again"}
}

// halfwayError is an import that was interrupted when it was sent.
type halfwayError struct{ file string }

func (e *halfwayError) Error() string { return "the import of " + e.file + " was interrupted" }

func (e *halfwayError) Hint() string {
	return "all of it is registered, or none: see keyrounds credentials list"
}

func (e *halfwayError) Unwrap() error { return errInterrupted }
