package main

import (
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/audit"
)

// fewChecks that credentials show shows without --since.
const fewChecks = 10

// showFrom shows a credential of a daemon elsewhere, with its checks from a time on, or the last few.
func showFrom(cmd *cobra.Command, at *there, name string, from time.Time, out output) error {
	if err := at.named(cmd.Context(), name); err != nil {
		return err
	}
	var j shownJSON
	path := "/credentials/" + url.PathEscape(name)
	if err := at.Get(cmd.Context(), path, nil, &j.CredentialJSON); err != nil {
		return plainly(err)
	}
	if err := at.Get(cmd.Context(), path+"/scopes", nil, &j.Truth); err != nil {
		return plainly(err)
	}
	q, most := url.Values{}, fewChecks
	if !from.IsZero() {
		q.Set("since", from.UTC().Format(time.RFC3339Nano))
		most = mostChecks
	}
	var err error
	if j.Checks, _, err = client.List[audit.Check](cmd.Context(), at.Client, path+"/checks", q, most); err != nil {
		return plainly(err)
	}
	return out.one(cmd.OutOrStdout(), j, describe(j.CredentialJSON, j.Truth, j.Checks))
}
