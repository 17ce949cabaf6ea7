package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/config"
)

func newCredentialsEdit(o *options) *cobra.Command {
	var given editFlags
	cmd := &cobra.Command{
		Use:   "edit NAME",
		Short: "Change what is said of a credential: owner, labels, schedule and so on",
		Long: "Change what is said of a credential: by flags, or without one in an editor, which $VISUAL or $EDITOR names, as YAML.\n" +
			"There a line that is deleted takes its value away, and what is not valid is said at the top of the file, which opens\n" +
			"again. A file that is left as it was changes nothing.\n\n" +
			"Its provider stays, and credentials rotate changes its client id and its secret. What is in the configuration file is\n" +
			"changed there. Exit 0: it is changed, or nothing was to be changed; 2: it is not changed.",
		Example: "  keyrounds credentials edit ats-sync\n" +
			"  keyrounds credentials edit ats-sync --owner talent-platform --label env=prod --label old- --scope jobs_read",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := o.deskOfAll(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			if !given.any(cmd) {
				return d.editByHand(cmd, args[0])
			}
			c, tag, err := d.tagged(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			e, err := given.edit(cmd, c)
			if err != nil {
				return err
			}
			return d.applyEdit(cmd, c, tag, e)
		},
	}
	given.add(cmd)
	return cmd
}

// tagged is a credential, with the tag by which it is known that nobody changed it since.
func (d *desk) tagged(ctx context.Context, name string) (c api.CredentialJSON, tag string, err error) {
	tag, err = d.GetTagged(ctx, ofName(name), &c)
	return c, tag, d.ofCredential(ctx, name, err)
}

// applyEdit changes a credential, unless somebody else changed it since it had this tag, and says what of it.
func (d *desk) applyEdit(cmd *cobra.Command, c api.CredentialJSON, tag string, e api.CredentialEdit) error {
	next, err := d.patch(cmd.Context(), c.Name, tag, e)
	if err != nil {
		return err
	}
	warnOf(cmd, next.Warnings)
	changed, err := differing(editableOf(c), editableOf(next.CredentialJSON))
	switch {
	case err != nil:
		return err
	case len(changed) == 0:
		fmt.Fprintln(cmd.OutOrStdout(), "nothing changed")
	default:
		fmt.Fprintf(cmd.OutOrStdout(), "%s is changed: %s\n", c.Name, joinComma(changed))
	}
	return nil
}

// editableOf is a credential as the configuration file would have it.
func editableOf(c api.CredentialJSON) config.CredentialIn {
	in := config.CredentialIn{
		Name: c.Name, Provider: c.Provider, ClientID: c.ClientID, Secret: c.Secret, KeyID: c.KeyID, Description: c.Description,
		Scopes: c.Scopes, Owner: c.Owner, Labels: c.Labels, Schedule: c.Schedule, UnusedAfter: c.UnusedAfter, MaxAge: c.MaxAge,
		Created: c.Created, Expires: c.Expires, Canary: c.Canary, ExpectedNetworks: c.ExpectedNetworks,
	}
	if in.MaxAge == "0s" {
		in.MaxAge = ""
	}
	return in
}

// differing are the names of the fields in which two differ.
func differing(a, b config.CredentialIn) (names []string, err error) {
	var of [2]map[string]json.RawMessage
	for i, in := range []config.CredentialIn{a, b} {
		text, err := json.Marshal(in)
		if err == nil {
			err = json.Unmarshal(text, &of[i])
		}
		if err != nil {
			return nil, err
		}
	}
	all := maps.Clone(of[0])
	maps.Copy(all, of[1])
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !bytes.Equal(of[0][name], of[1][name]) {
			names = append(names, name)
		}
	}
	return names, nil
}

// editFlags are the flags of credentials edit.
type editFlags struct {
	in                      config.CredentialIn
	addScopes, changeLabels []string
}

func (e *editFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&e.in.KeyID, "key-id", "", "which of the client's keys it is, as the provider's log names it")
	f.StringVar(&e.in.Description, "description", "", "what it is for")
	f.StringSliceVar(&e.in.Scopes, "scopes", nil, "declared scopes, instead of those before")
	f.StringArrayVar(&e.addScopes, "scope", nil, "one more declared `SCOPE`; SCOPE- takes it away")
	f.StringVar(&e.in.Owner, "owner", "", "team or person")
	f.StringArrayVar(&e.changeLabels, "label", nil, "a label `KEY=VALUE`; KEY- takes it away")
	f.StringVar(&e.in.Schedule, "schedule", "", "cron; \"\" is that of the configuration")
	f.StringVar(&e.in.UnusedAfter, "unused-after", "", "how long without use makes it unused")
	f.StringVar(&e.in.MaxAge, "max-age", "", "how old the secret may become")
	f.StringVar(&e.in.Created, "created", "", "date when the provider made it")
	f.StringVar(&e.in.Expires, "expires", "", "date or time when it ends by itself, such as 2027-03-01")
	f.BoolVar(&e.in.Canary, "canary", false, "nobody may ever use it")
	f.StringSliceVar(&e.in.ExpectedNetworks, "expected-networks", nil, "networks that its use comes from, instead of those before")
}

func (e *editFlags) any(cmd *cobra.Command) bool {
	return slices.ContainsFunc([]string{
		"key-id", "description", "scopes", "scope", "owner", "label", "schedule", "unused-after", "max-age", "created", "expires", "canary",
		"expected-networks",
	}, cmd.Flags().Changed)
}

// edit is what the flags that were given change of a credential.
func (e *editFlags) edit(cmd *cobra.Command, c api.CredentialJSON) (api.CredentialEdit, error) {
	out := api.CredentialEdit{
		KeyID: given(cmd, "key-id", &e.in.KeyID), Description: given(cmd, "description", &e.in.Description),
		Scopes: given(cmd, "scopes", &e.in.Scopes), Owner: given(cmd, "owner", &e.in.Owner),
		Schedule:    given(cmd, "schedule", &e.in.Schedule),
		UnusedAfter: given(cmd, "unused-after", &e.in.UnusedAfter), MaxAge: given(cmd, "max-age", &e.in.MaxAge),
		Created: given(cmd, "created", &e.in.Created), Expires: given(cmd, "expires", &e.in.Expires),
		Canary:           given(cmd, "canary", &e.in.Canary),
		ExpectedNetworks: given(cmd, "expected-networks", &e.in.ExpectedNetworks),
	}
	scopes := slices.Clone(c.Scopes)
	if out.Scopes != nil {
		scopes = slices.Clone(*out.Scopes)
	}
	for _, s := range e.addScopes {
		if old, away := strings.CutSuffix(s, "-"); away {
			scopes = slices.DeleteFunc(scopes, func(has string) bool { return has == old })
		} else if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
		out.Scopes = &scopes
	}
	labels := maps.Clone(c.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	for _, l := range e.changeLabels {
		key, value, sets := strings.Cut(l, "=")
		old, away := strings.CutSuffix(l, "-")
		switch {
		case sets:
			labels[key] = value
		case away:
			delete(labels, old)
		default:
			return out, mistake(cmd, "such as --label env=prod, or --label env-", "--label: %q is neither KEY=VALUE nor KEY-", l)
		}
		out.Labels = &labels
	}
	return out, nil
}

// given is a value whose flag was given, else nil.
func given[T any](cmd *cobra.Command, flag string, value *T) *T {
	if !cmd.Flags().Changed(flag) {
		return nil
	}
	return value
}
