package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/exposure"
	"github.com/keyrounds/keyrounds/leak/hook"
)

// What is sent to the daemon at once.
const (
	hookPart  = 64 << 20 // bytes; a file that is larger goes alone
	hookTexts = 10_000
)

// hookFound is what the daemon found in what is new.
type hookFound struct {
	brought     *hook.Brought
	places      []hookPlace
	notSearched []api.ScanNotSearched
	unreadable  int
	tooLarge    string            // what was not sent, because the daemon does not take it; "": all was sent
	masked      map[string]string // names of refs that have a secret
}

// hookPlace is where a secret is.
type hookPlace struct {
	api.ScanPlace
	text hook.Text
}

// askAsHook asks the daemon about all that is new. Where nothing is new, nobody is asked.
func askAsHook(ctx context.Context, o *options, cmd *cobra.Command, k hookKind, f hookFlags, args []string) (*hookFound, error) {
	brought, err := k.brought(ctx, args, cmd.InOrStdin())
	if err != nil {
		return nil, err
	}
	found := &hookFound{brought: brought, masked: map[string]string{}}
	parts := brought.Parts(hookPart, hookTexts)
	if len(parts) == 0 {
		return found, nil
	}
	daemon, err := daemonOfHook(o, cmd, f.tokenFile)
	if err != nil {
		return nil, err
	}
	defer daemon.Close()
	for _, part := range parts {
		if why := tooLarge(part); why != "" {
			found.tooLarge = why
			continue
		}
		var said api.ScanJSON
		write := func(w io.Writer) error { return hook.Archive(ctx, part, w) }
		if err := daemon.Archive(ctx, "/scans", write, &said); err != nil {
			return nil, plainly(err)
		}
		if said.Members != len(part) {
			return nil, fmt.Errorf("the daemon searched %d texts of %d", said.Members, len(part))
		}
		found.take(part, said)
	}
	return found, nil
}

// tooLarge says why the daemon does not take a part; "": it does.
func tooLarge(part []hook.Text) string {
	if size := part[0].Size; size > exposure.MostSearched {
		return fmt.Sprintf("the object %.12s has %d MB, which is more than the daemon searches at once (%d MiB)",
			part[0].Object, size/1e6, exposure.MostSearched>>20)
	}
	return ""
}

// take adds what was found in a part.
func (f *hookFound) take(part []hook.Text, said api.ScanJSON) {
	f.unreadable = max(f.unreadable, said.Unreadable)
	f.notSearched = append(f.notSearched, said.NotSearched...)
	for _, p := range said.Places {
		if p.Member < 0 || p.Member >= len(part) {
			continue
		}
		t := part[p.Member]
		if t.Kind == hook.Name {
			f.masked[t.Name] = p.Name
		}
		f.places = append(f.places, hookPlace{p, t})
	}
}
