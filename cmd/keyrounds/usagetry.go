package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

func newUsageTry(o *options) *cobra.Command {
	var (
		out              output
		provider, format string
	)
	cmd := &cobra.Command{
		Use:   "try FILE...",
		Short: "Show how files of usage records would be understood, and write nothing",
		Long: "Show how files of usage records would be understood: the format that they look like, ten events, how many records\n" +
			"could be read, name a client, and name a registered one. Nothing is written; - is standard input.\n\n" +
			"Exit 0: it could be imported; 1: nothing or less than half of it is understood; 2: it could not be read.",
		Example: "  keyrounds usage try /var/log/nginx/api.json\n" +
			"  zcat old.gz | keyrounds usage try --format my.jq -",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := o.openAsIs(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			if err := knownProvider(a, provider); err != nil {
				return err
			}
			names := &clientNames{registry: a.Registry, provider: provider}
			all, understood := []*tried{}, true
			for _, name := range args {
				t, err := tryFile(cmd, name, format, names)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				all = append(all, t)
				understood = understood && t.understood()
			}
			if out.data() {
				err = out.one(cmd.OutOrStdout(), all, "")
			} else {
				for i, t := range all {
					if i > 0 {
						fmt.Fprintln(cmd.OutOrStdout())
					}
					err = errors.Join(err, t.print(cmd.OutOrStdout()))
				}
			}
			if err == nil && !understood {
				return errFound
			}
			return err
		},
	}
	out.flags(cmd, "table", "json")
	cmd.Flags().StringVar(&provider, "provider", "", "whose credentials the records show (default any)")
	cmd.Flags().StringVar(&format, "format", feed.Auto, "how records are read: auto, a preset, or a file FORMAT.jq or FORMAT.yaml")
	return cmd
}

// clientNames finds the names of the credentials with a client id, and remembers them.
type clientNames struct {
	registry *registry.Store
	provider string // "": any
	known    map[string][]string
}

// learn looks up the client ids of events that are not known yet. Those of before are forgotten when they become too many.
func (n *clientNames) learn(ctx context.Context, events []feed.Event) error {
	if n.known == nil || len(n.known) > mostClients {
		n.known = map[string][]string{}
	}
	var ids []string
	for _, e := range events {
		if _, known := n.known[e.ClientID]; !known && e.ClientID != "" {
			n.known[e.ClientID] = nil
			ids = append(ids, e.ClientID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	names, err := n.registry.NamesOf(ctx, n.provider, ids)
	maps.Copy(n.known, names)
	return err
}

const mostTried = 10 // events that are shown

// tried is how a file was understood. Its JSON is part of the command's output.
type tried struct {
	File        string       `json:"file"`
	Format      string       `json:"format"`
	Title       string       `json:"title"`
	Records     int          `json:"records"`
	LeftOut     int          `json:"left_out"` // about something else
	Bad         int          `json:"bad"`      // could not be read
	Named       int          `json:"named"`    // events that name a client
	Registered  int          `json:"registered"`
	Clients     int          `json:"clients"`
	Credentials []string     `json:"credentials"` // that it names
	FirstAt     *time.Time   `json:"first_at"`
	LastAt      *time.Time   `json:"last_at"`
	Events      []triedEvent `json:"events"`
	Unreadable  []feed.Bad   `json:"unreadable"`

	events int
}

type triedEvent struct {
	Kind       feed.Kind `json:"kind"`
	At         time.Time `json:"at"`
	ClientID   string    `json:"client_id"`
	Credential []string  `json:"credential"`
	KeyID      string    `json:"key_id,omitempty"`
	SourceIP   string    `json:"source_ip"`
	UserAgent  string    `json:"user_agent"`
	Scopes     []string  `json:"scopes"`
	Result     string    `json:"result"` // use, use, not allowed, attempt
}

func tryFile(cmd *cobra.Command, name, format string, names *clientNames) (*tried, error) {
	in, err := openInput(cmd, name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	t := &tried{File: name, Events: []triedEvent{}, Unreadable: []feed.Bad{}}
	var from io.Reader = in
	if format == feed.Auto {
		guess, again, err := feed.Detect(cmd.Context(), in)
		if err != nil {
			return nil, err
		}
		format, from = guess.Preset.Name, again
	}
	f, err := feed.ReadFormat(cmd.Context(), format)
	if err != nil {
		return nil, err
	}
	t.Format, t.Title = f.Name, f.Title
	plain, err := feed.Decompress(from)
	if err != nil {
		return nil, err
	}
	clients, credentials := map[string]bool{}, map[string]bool{}
	err = f.Read(cmd.Context(), plain, func(r feed.Reading) error {
		if err := names.learn(cmd.Context(), r.Events); err != nil {
			return err
		}
		t.add(r, names.known, clients, credentials)
		return nil
	})
	t.Clients, t.Credentials = len(clients), orEmpty(slices.Sorted(maps.Keys(credentials)))
	return t, err
}

const mostClients = 100_000 // that are told apart

func (t *tried) add(r feed.Reading, names map[string][]string, clients, credentials map[string]bool) {
	t.Records, t.LeftOut, t.Bad = t.Records+r.Records, t.LeftOut+r.Skipped, t.Bad+r.BadSeen
	for _, b := range r.Bad {
		if len(t.Unreadable) < 3 {
			t.Unreadable = append(t.Unreadable, b)
		}
	}
	for _, e := range r.Events {
		if why := usage.Misplaced(e, time.Now()); why != "" {
			if t.Bad++; len(t.Unreadable) < 3 {
				t.Unreadable = append(t.Unreadable, feed.Bad{Reason: why})
			}
			continue
		}
		at := e.At
		if t.events++; t.FirstAt == nil || at.Before(*t.FirstAt) {
			t.FirstAt = &at
		}
		if t.LastAt == nil || at.After(*t.LastAt) {
			t.LastAt = &at
		}
		if e.ClientID != "" {
			t.Named++
			if len(clients) < mostClients {
				clients[e.ClientID] = true
			}
		}
		own := names[e.ClientID]
		if len(own) > 0 {
			t.Registered++
			for _, name := range own {
				credentials[name] = true
			}
		}
		if len(t.Events) < mostTried {
			t.Events = append(t.Events, newTriedEvent(e, own))
		}
	}
}

func newTriedEvent(e feed.Event, names []string) triedEvent {
	clean := secret.Scrubber{} // what a log has where something else is expected may be a secret
	v := triedEvent{
		Kind: e.Kind, At: e.At, ClientID: clean.Clean(e.ClientID, 200), Credential: orEmpty(names), KeyID: clean.Clean(e.KeyID, 200),
		UserAgent: usage.CleanAgent(e.UserAgent), Scopes: []string{}, Result: "use",
	}
	for _, scope := range e.Scopes {
		if scope = usage.CleanAgent(scope); credential.ValidScope(scope) {
			v.Scopes = append(v.Scopes, scope)
		}
	}
	switch {
	case !e.Kind.IsUse():
		v.Result = string(e.Kind)
	case e.ClientID == "":
		v.Result = "names nobody"
	case !e.OK:
		v.Result = "attempt"
	case e.Denied:
		v.Result = "use, not allowed"
	}
	if e.Address.IsValid() {
		v.SourceIP = e.Address.String()
	}
	return v
}

// understood: an import would take it in.
func (t *tried) understood() bool { return t.events > 0 && 2*t.Bad <= t.Records }

func (t *tried) print(w io.Writer) error {
	if t.Title != "" {
		fmt.Fprintf(w, "%s: this looks like %s (--format %s)\n", t.File, t.Title, t.Format)
	} else {
		fmt.Fprintf(w, "%s\n", t.File)
	}
	if !t.understood() {
		fmt.Fprintf(w, "an import would refuse it: %d of %d records could not be read, and %d are about something else\n",
			t.Bad, t.Records, t.LeftOut)
	}
	var rows [][]string
	for _, e := range t.Events {
		rows = append(rows, []string{
			stamp(e.At), string(e.Kind), e.ClientID, strings.Join(e.Credential, " "), e.SourceIP, shorten(e.UserAgent, 30),
			shorten(strings.Join(e.Scopes, " "), 40), e.Result,
		})
	}
	head := []string{"AT", "KIND", "CLIENT ID", "CREDENTIAL", "FROM", "USER AGENT", "SCOPES", "RESULT"}
	if len(rows) > 0 {
		if err := writeTable(w, head, rows); err != nil {
			return err
		}
	}
	line := func(label string, n, of int, more string) {
		share := ""
		if of > 0 {
			share = fmt.Sprintf(" (%.0f %%)", 100*float64(n)/float64(of))
		}
		fmt.Fprintf(w, "%-22s %d of %d%s%s\n", label, n, of, share, more)
	}
	line("read", t.Records-t.Bad, t.Records, "")
	line("about something else", t.LeftOut, t.Records, "")
	line("name a client", t.Named, t.events, fmt.Sprintf(", %d clients", t.Clients))
	registered := ""
	if len(t.Credentials) > 0 {
		registered = ": " + shorten(strings.Join(t.Credentials, " "), 200)
	}
	line("name a registered one", t.Registered, t.events, registered)
	if t.FirstAt != nil {
		fmt.Fprintf(w, "%-22s %s to %s\n", "from", stamp(*t.FirstAt), stamp(*t.LastAt))
	}
	printBad(w, t.File, t.Unreadable)
	switch {
	case t.events > 0 && t.Named == 0:
		fmt.Fprintln(w, "none names a client: it cannot show that a credential is used, "+
			"nor that it is not (docs/usage.md says what to log)")
	case t.Named > 0 && t.Registered == 0:
		fmt.Fprintln(w, "none names a registered client: is it another provider's log, "+
			"or are they not registered? keyrounds credentials list")
	}
	return nil
}

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// knownProvider is an error where name is no provider of the configuration. "" is none.
func knownProvider(a *app.App, name string) error {
	if _, ok := a.Config().Providers[name]; ok || name == "" {
		return nil
	}
	names := slices.Sorted(maps.Keys(a.Config().Providers))
	return &hintError{fmt.Errorf("unknown provider %q", name), "the configuration has " + joinComma(names) + "; default: any of them"}
}
