package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/secret"
)

// dryRun has a change only looked at, and its secret may come later.
const dryRun = "?dry_run=true"

// withSecret is a body of the API with its secret. The API's own types never write one.
type withSecret struct {
	config.CredentialIn
	Secret       string `json:"secret,omitempty"` // never: the sealed one comes as client_secret
	ClientSecret string `json:"client_secret,omitempty"`
}

// toAdd is the body of a credential to be added, without its secret where v is zero.
func toAdd(in config.CredentialIn, v secret.Value) withSecret {
	return withSecret{CredentialIn: in, ClientSecret: v.Reveal()}
}

// onlySecret is the body of what needs nothing else.
type onlySecret struct {
	ClientSecret string `json:"client_secret,omitempty"`
}

// toRotate is a new secret, maybe with a new client id.
type toRotate struct {
	onlySecret
	ClientID string `json:"client_id,omitempty"`
	Expires  string `json:"expires,omitempty"`
}

// whenFirst is the query that says when a credential is checked for the first time.
func whenFirst(cmd *cobra.Command) string {
	if checksLater(cmd) {
		return "?first_check=as_scheduled"
	}
	return ""
}

func ofName(name string) string { return "/credentials/" + url.PathEscape(name) }

// patch changes a credential, unless it was changed since it had this tag.
func (d *desk) patch(ctx context.Context, name, tag string, e api.CredentialEdit) (c api.ChangedCredential, err error) {
	err = d.Patch(ctx, ofName(name), tag, e, &c)
	if answered(err, http.StatusPreconditionFailed) {
		return c, &hintError{
			fmt.Errorf("%s was changed by somebody else meanwhile; nothing was changed", name),
			"look at it, and try again",
		}
	}
	return c, d.ofCredential(ctx, name, err)
}

// warnOf says on standard error what is rarely meant.
func warnOf(cmd *cobra.Command, warnings []api.Warning) {
	for _, w := range warnings {
		more := ""
		if w.More > 0 {
			more = fmt.Sprintf(" and %d more", w.More)
		}
		text := fmt.Sprintf("warning: credential %q%s: %s: %s (%s)", w.Credential, more, w.Field, w.Message, w.Hint)
		fmt.Fprintln(cmd.ErrOrStderr(), printable(text, false))
	}
}
