package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/keyrounds/keyrounds/config"
)

// importRow is one credential of a file, and where it stands: a line of CSV, a place in a list.
type importRow struct {
	config.CredentialIn
	ClientSecret string `json:"client_secret"`
	at           string
	wrong        []string // what of it could not be read
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
		if st, err := f.Stat(); err == nil && st.IsDir() {
			return nil, fmt.Errorf("%s: it is a directory", name)
		}
		in = f
	}
	whole, err := io.ReadAll(io.LimitReader(in, maxImport+1))
	switch {
	case err != nil:
		return nil, err
	case len(whole) > maxImport:
		return nil, &hintError{fmt.Errorf("%s is larger than %d MiB, and none of it was read", name, maxImport>>20), "import it in parts"}
	}
	in = bytes.NewReader(whole)
	switch format {
	case "csv":
		return readCSV(in)
	case "json":
		return readJSONList(in)
	}
	if format == "" {
		return nil, &hintError{fmt.Errorf("the name %q does not say what it is", name), "--format csv or --format json"}
	}
	return nil, &hintError{fmt.Errorf("unknown format %q", format), "--format csv or --format json"}
}

// readJSONList never shows what it could not read: it may be a secret. What is wrong with one of the list, its row has.
func readJSONList(in io.Reader) (rows []importRow, err error) {
	d := json.NewDecoder(in)
	if first, err := d.Token(); err != nil || first != json.Delim('[') {
		return nil, notList("it does not begin with [")
	}
	for d.More() {
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return nil, notList(fmt.Sprintf("what follows on [%d] cannot be read", len(rows)-1))
		}
		rows = append(rows, readJSONRow(raw, len(rows)))
	}
	if _, err := d.Token(); err != nil {
		return nil, notList("its ] is missing")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, notList("something stands after its ]")
	}
	return rows, nil
}

func notList(why string) error {
	return &hintError{
		errors.New("not a JSON list of objects: " + why),
		`[{"name": "ats-sync", "provider": "smartrecruiters", "client_id": "…", "client_secret": "…"}]`,
	}
}

func readJSONRow(raw json.RawMessage, n int) (row importRow) {
	row.at = fmt.Sprintf("[%d]", n)
	d := json.NewDecoder(bytes.NewReader(raw))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		row.wrong = []string{notAnObject}
		return row
	}
	seen := map[string]bool{}
	for d.More() {
		key, _ := d.Token() // it was read once before
		var value json.RawMessage
		name, _ := key.(string)
		if d.Decode(&value) != nil {
			row.wrong = append(row.wrong, "it cannot be read")
			return row
		}
		switch {
		case !slices.Contains(importFields, name) && !slices.Contains(referenceFields, name):
			meant := config.DidYouMean(name, importFields)
			row.wrong = append(row.wrong, fmt.Sprintf("there is no member %q; %s", printable(name, false), meant))
		case seen[name]:
			row.wrong = append(row.wrong, name+": it is there twice")
		default:
			row.member(name, value)
		}
		seen[name] = true
	}
	return row
}

// notAnObject is all that is said of what is none.
const notAnObject = "it is not an object"

// member sets one member of a row.
func (row *importRow) member(name string, value json.RawMessage) {
	one, err := json.Marshal(map[string]json.RawMessage{name: value})
	if err == nil {
		err = json.Unmarshal(one, row)
	}
	var fits *json.UnmarshalTypeError
	switch {
	case errors.As(err, &fits):
		row.wrong = append(row.wrong, name+": it is "+jsonKind(fits.Value)+", which does not fit")
	case err != nil:
		row.wrong = append(row.wrong, name+": it cannot be read")
	}
}

// referenceFields are members of the configuration file that an import refuses by name.
var referenceFields = []string{"secret", "key_passphrase"}

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
	r.TrimLeadingSpace, r.FieldsPerRecord = true, -1 // a row that has too many cells is told with all that is wrong
	head, err := r.Read()
	if err != nil {
		return nil, &hintError{errors.New("the file has no head line"), "the first line names the columns: " + joinComma(importFields)}
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	for i, h := range head {
		if slices.Contains(head[:i], h) {
			return nil, &hintError{fmt.Errorf("the column %q is there twice", printable(h, false)), "each column once"}
		}
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
			return nil, notCSV(err)
		}
		line, _ := r.FieldPos(0)
		row := importRow{at: fmt.Sprintf(":%d", line)}
		if len(cells) != len(head) {
			row.wrong = append(row.wrong, fmt.Sprintf(
				`it has %d cells, and the head line names %d columns; a cell with a comma in it stands in quotes: "a, b"`,
				len(cells), len(head)))
		}
		for i, cell := range cells[:min(len(cells), len(head))] {
			if err := row.set(head[i], cell); err != nil {
				row.wrong = append(row.wrong, head[i]+": "+err.Error())
			}
		}
		rows = append(rows, row)
	}
}

// notCSV says at which line a file is no CSV.
func notCSV(err error) error {
	var at *csv.ParseError
	if !errors.As(err, &at) {
		return err
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
