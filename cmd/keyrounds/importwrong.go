package main

import (
	"errors"
	"fmt"
	"maps"
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

// toImport is the body of an import.
type toImport struct {
	Credentials []withSecret `json:"credentials"`
}

// importable is the body of an import. What is wrong with a row and can be seen here, wrong has by the number of the row.
func importable(rows []importRow, wrong map[int][]string) (body toImport) {
	for i, row := range rows {
		bad := func(text string) { wrong[i] = append(wrong[i], text) }
		wrong[i] = append(wrong[i], row.wrong...)
		if slices.Contains(row.wrong, notAnObject) {
			body.Credentials = append(body.Credentials, withSecret{})
			continue
		}
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
		case row.ClientSecret == "":
			bad("client_secret: it is missing")
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
		if slices.Contains(wrong[i], notAnObject) {
			continue
		}
		wrong[i] = append(wrong[i], bad...)
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
	if in.Provider == "" {
		all = append(all, "provider: it is missing")
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
