package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
)

// toCheck are the credentials with these names, all where there are none; each is registered.
func (d *desk) toCheck(ctx context.Context, names []string) (all []api.CredentialJSON, err error) {
	if len(names) == 0 {
		all, _, err = client.List[api.CredentialJSON](ctx, d.Client, "/credentials", url.Values{"fields": {"name,provider"}}, 0)
		return all, plainly(err)
	}
	var errs []error
	for _, name := range names {
		c, err := d.credential(ctx, name)
		if err != nil && !answered(err, http.StatusNotFound) {
			return nil, err
		}
		all, errs = append(all, c), append(errs, err)
	}
	return all, errors.Join(errs...)
}

// check has credentials checked now, all where none is named, and gives each what came of one. When ctx ends no further check begins;
// those under way end.
func (d *desk) check(ctx context.Context, names []string, trace bool, each func(api.CheckJSON)) error {
	return plainly(d.checks(ctx, api.ChecksIn{Names: names, Trace: trace}, each))
}

// checks is check, with what the API says is wrong as it says it.
func (d *desk) checks(ctx context.Context, in api.ChecksIn, each func(api.CheckJSON)) error {
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var why *client.Problem
	err := client.Lines(last, d.Client, "/checks", in, func(l api.CheckLine) {
		switch {
		case l.Run != "":
			stop := context.AfterFunc(ctx, func() {
				if d.Delete(last, "/checks/"+l.Run, nil) != nil {
					cancel()
				}
			})
			context.AfterFunc(last, func() { stop() })
		case l.Check != nil:
			each(*l.Check)
		case l.Problem != nil:
			why = &client.Problem{Status: l.Problem.Status, Detail: l.Problem.Detail, Todo: l.Problem.Hint}
		}
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case why != nil:
		return why
	}
	return nil
}
