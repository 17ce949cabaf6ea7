package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/leak/intake"
	"github.com/keyrounds/keyrounds/leak/scan"
	"github.com/keyrounds/keyrounds/rounds"
)

func newLeaks(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "leaks", Aliases: []string{"leak"}, Short: "Secrets that got out: scan, hook, import, list, status, verify"}
	cmd.AddCommand(newLeaksScan(o), newLeaksHook(o), newLeaksImport(o), newLeaksList(o), newLeaksStatus(o), newLeaksVerify(o))
	return cmd
}

func newLeaksScan(o *options) *cobra.Command {
	var (
		out         output
		search      scan.Options
		coverage    coverageFlags
		source      string
		record      bool
		secretsOnly bool
		watch       bool
	)
	cmd := &cobra.Command{
		Use:   "scan PATH...",
		Short: "Search files, archives and git histories for registered secrets and client ids",
		Long: "Search files, directories, archives and the whole history of git repositories for every registered secret\n" +
			"and client id: as it is, in base64, base64url, hexadecimal, percent-encoded, JSON-escaped, UTF-16, and as\n" +
			"in Authorization: Basic. - is standard input. Nothing of what is searched is kept or shown but where a\n" +
			"secret stands. What is found opens a finding, and the credential is checked at once.\n\n" +
			"What was and was not searched, and why, is said at the end on standard error, and with --coverage in a file.\n\n" +
			"Exit 0: nothing was found, and every named source and history was searched; 1: something was found; 2: it could\n" +
			"not be done, also where git cannot open a repository that is named; 3: nothing was found, and a named source or\n" +
			"a history was not searched, or not whole (a shallow clone, an encrypted archive).",
		Example: "  keyrounds leaks scan ~/src /srv/git/backend.git\n" +
			"  keyrounds leaks scan --unreachable -o json . | jq -r '.[] | select(.in_head) | .path'\n" +
			"  kubectl get configmap -A -o yaml | keyrounds leaks scan -",
		RunE: func(cmd *cobra.Command, args []string) error {
			if wanted := len(args) + len(source); watch && wanted > 0 || !watch && wanted == 0 || source != "" && len(args) > 0 {
				return &hintError{
					errors.New("either PATH or --watch is wanted, or --source"),
					"--watch scans what leaks.sources of the configuration names, on its schedules; --source NAME one of them now",
				}
			}
			a, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			switch {
			case watch:
				return watchSources(cmd, a)
			case source != "":
				return scanSourceNow(cmd, a, source)
			}
			found, not, err := scanPaths(cmd, a, search, secretsOnly, args)
			if err != nil {
				return err
			}
			if err := printHits(cmd.OutOrStdout(), out, found, args); err != nil {
				return err
			}
			if err := coverage.tell(cmd.ErrOrStderr(), coverageJSON{found.Coverage(), not}); err != nil {
				return err
			}
			if len(found.Hits) == 0 {
				return coverage.ending(cmd.ErrOrStderr(), found)
			}
			if record {
				leaked, err := a.Exposure.TakeHits(cmd.Context(), actor(), found, "scan")
				if err != nil {
					return err
				}
				if err := tellLeaked(cmd, a, leaked); err != nil {
					return err
				}
			}
			return errFound
		},
	}
	out.flags(cmd, "table", "json", "csv", "sarif")
	f := cmd.Flags()
	f.BoolVar(&search.History, "history", true, "search the histories of git repositories, all refs")
	f.BoolVar(&search.Unreachable, "unreachable", false, "also objects that no ref reaches, such as those of deleted branches")
	f.IntVar(&search.Workers, "workers", 0, "at once (default one a processor)")
	f.Int64Var(&search.Unpack, "unpack", scan.DefaultUnpack, "bytes that are unpacked of one file, at most")
	f.BoolVar(&record, "record", true, "open findings about what is found, and check the credentials")
	f.BoolVar(&secretsOnly, "secrets-only", false, "do not look for client ids, which are no secrets")
	coverage.register(cmd)
	f.StringVar(&source, "source", "", "scan this one of leaks.sources of the configuration now, all of it and not only what is new")
	f.BoolVar(&watch, "watch", false, "scan leaks.sources of the configuration on their schedules, as the daemon does")
	return cmd
}

// scanPaths searches paths, and says what could not be looked for.
func scanPaths(
	cmd *cobra.Command, a *app.App, o scan.Options, secretsOnly bool, paths []string,
) (found scan.Found, not []notLookedFor, err error) {
	ctx := cmd.Context()
	terms, unreadable, err := a.Exposure.Terms(ctx)
	if err != nil {
		return found, nil, err
	}
	if secretsOnly {
		terms = slices.DeleteFunc(terms, func(t scan.Term) bool { return t.Kind == scan.ClientID })
	}
	not = []notLookedFor{}
	for _, name := range slices.Sorted(maps.Keys(unreadable)) {
		not = append(not, notLookedFor{name, "secret", unreadable[name].Error()})
	}
	end := func() {}
	if w := cmd.ErrOrStderr(); isTerminal(w) {
		bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription("searching"),
			progressbar.OptionShowBytes(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(20))
		o.Progress = func(n int64) { _ = bar.Set64(n) }
		end = func() { _ = bar.Finish() }
	}
	o.Confine = confineCommand()
	s, short := scan.NewScanner(terms, o)
	for _, t := range short {
		why := fmt.Sprintf("with fewer than %d characters it is too common in text", scan.MinLength)
		not = append(not, notLookedFor{t.Credential, strings.ReplaceAll(string(t.Kind), "_", " "), why})
	}
	if len(terms) == len(short) {
		return found, not, &hintError{errors.New("there is nothing to look for"), "see keyrounds credentials list"}
	}
	defer end()
	for _, p := range paths {
		if p == "-" {
			err = s.Reader(ctx, "standard input", cmd.InOrStdin())
		} else {
			err = s.Tree(ctx, p)
		}
		if err != nil {
			return found, not, err
		}
	}
	return s.Found(), not, nil
}

// hitJSON is a promise: scripts of users depend on its names.
type hitJSON struct {
	Credential string     `json:"credential"`
	Kind       scan.Kind  `json:"kind"`
	Former     bool       `json:"former"` // a secret that was replaced
	Encoding   string     `json:"encoding"`
	Source     string     `json:"source"`
	Commit     *string    `json:"commit"` // null: not of a history, or in no commit
	Path       string     `json:"path"`
	Line       *int       `json:"line"`       // null: the name of a file
	InHead     *bool      `json:"in_head"`    // null: not of a history
	Tips       []string   `json:"tips"`       // refs and stashes whose tips have it, and "the index"; null: not of a history
	FirstSeen  *time.Time `json:"first_seen"` // the commit's author date; null: not known
}

func printHits(w io.Writer, out output, f scan.Found, paths []string) error {
	values, rows := []hitJSON{}, [][]string{}
	for _, h := range f.Hits {
		v := hitJSON{
			Credential: h.Credential, Kind: h.Kind, Former: h.Former, Encoding: string(h.Encoding), Source: h.Source,
			Commit: orNull(h.Commit), Path: h.Path, Line: orNull(h.Line), FirstSeen: orNull(h.FirstSeen),
		}
		where := "in the files"
		if h.Object != "" {
			v.InHead, v.Tips = &h.InHead, orEmpty(h.Tips)
			where = whereOf(h)
		}
		values = append(values, v)
		kind := strings.ReplaceAll(string(h.Kind), "_", " ")
		if h.Former {
			kind = "former " + kind
		}
		path := h.Path
		if path == "" && h.Object != "" {
			path = "(object " + h.Object[:12] + ")"
		}
		line := ""
		if h.Line > 0 {
			line = fmt.Sprint(h.Line)
		}
		rows = append(rows, []string{
			h.Credential, kind, string(h.Encoding), h.Source, path, line, h.Commit[:min(len(h.Commit), 12)], where, stamp(h.FirstSeen),
		})
	}
	switch {
	case out.format == "sarif":
		return writeSARIF(w, f)
	case out.people() && len(rows) == 0 && len(f.Failed) > 0:
		return nil // nothing is known
	case out.people() && len(rows) == 0:
		fmt.Fprintf(w, "no registered secret or client id in %s (searched: %d, %s)\n",
			strings.Join(paths, ", "), f.Files, megabytes(f.Bytes))
		return nil
	}
	return out.list(w, []string{"CREDENTIAL", "KIND", "ENCODING", "SOURCE", "PATH", "LINE", "COMMIT", "WHERE", "FIRST SEEN"}, rows, values)
}

// whereOf says where in a history a hit stands now.
func whereOf(h scan.Hit) string {
	const most = 3
	var parts []string
	if h.InHead {
		parts = append(parts, "HEAD")
	}
	var refs []string
	for _, name := range h.Tips {
		if name == "the index" || strings.HasPrefix(name, "stash@{") {
			parts = append(parts, name)
			continue
		}
		refs = append(refs, name)
	}
	if len(refs) > 0 {
		text := "the tip of " + joinComma(refs[:min(len(refs), most)])
		if more := len(refs) - most; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return "only in history"
	}
	return printable("in "+joinComma(parts), false)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// tellLeaked checks credentials whose secret was found, and says whether it works and where it is told.
func tellLeaked(cmd *cobra.Command, a *app.App, leaked []credential.Credential) error {
	ctx, w := cmd.Context(), cmd.ErrOrStderr()
	active := slices.DeleteFunc(slices.Clone(leaked), func(c credential.Credential) bool {
		return !c.Retired.IsZero() || a.Config().Providers[c.Provider].Passive
	})
	if err := a.Actions.Check(ctx, active, func([]rounds.Judged) {}); err != nil {
		if ctx.Err() != nil {
			return err
		}
		fmt.Fprintf(w, "not all could be checked now: %v\n", err) // what was found stands all the same
	}
	for _, c := range leaked {
		all, err := a.Audit.Findings(ctx, audit.Filter{Credential: c.Name})
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(f finding.Finding) bool { return f.Kind == finding.Leaked })
		if i < 0 {
			fmt.Fprintf(w,
				"%s: what was found is no news: it is proven dead, or somebody called it a false alarm; see keyrounds leaks status %s\n",
				c.Name, c.Name)
			continue
		}
		state := "it is not known whether it works"
		if l := all[i].Evidence.Leak; l != nil && l.Works != nil {
			state = map[bool]string{true: "it works", false: "it is refused, which is no proof yet"}[*l.Works]
		}
		fmt.Fprintf(w, "%s: its secret got out, and %s; what to do: keyrounds findings show %d\n", c.Name, state, all[i].ID)
	}
	return nil
}

func watchSources(cmd *cobra.Command, a *app.App) error {
	if len(a.Config().Leaks.Sources) == 0 {
		return &hintError{
			errors.New("leaks.sources of the configuration names nothing"),
			"such as sources: [{name: backend, path: /srv/git/backend.git}]",
		}
	}
	a.Exposure.ScanSources(cmd.Context(), func(source string, f scan.Found, err error) {
		at := time.Now().UTC().Format(time.RFC3339)
		if err != nil {
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s: %v\n", at, source, err)
			return
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s %s: found %d, searched %s, left out %d\n",
			at, source, len(f.Hits), megabytes(f.Bytes), len(f.Skipped))
	})
	return nil
}

// scanSourceNow scans a source of the configuration whole, and records it as the daemon would.
func scanSourceNow(cmd *cobra.Command, a *app.App, name string) error {
	f, err := a.Exposure.ScanSourceNow(cmd.Context(), name)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: found %d, searched %s, left out %d; see keyrounds leaks status\n",
		name, len(f.Hits), megabytes(f.Bytes), len(f.Skipped))
	tellCoverage(cmd.ErrOrStderr(), coverageJSON{Coverage: f.Coverage()})
	if len(f.Hits) > 0 {
		return errFound
	}
	return nil
}

func newLeaksImport(o *options) *cobra.Command {
	var (
		out    output
		format string
	)
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Take in what other scanners found",
		Long: "Take in reports of other scanners: gitleaks (JSON), trufflehog (--json), SARIF 2.1.0, detect-secrets, GitLab,\n" +
			"ggshield, noseyparker, kingfisher and CSV; - is standard input. What they found is held against the registered\n" +
			"secrets, in whatever encoding a report has it. What is registered opens findings and is checked at once; the\n" +
			"rest is counted as foreign and forgotten.\n\n" +
			"Exit 0: nothing of it is registered; 1: something is; 2: it could not be done, or it is no report that is known.",
		Example: "  gitleaks git --report-format json --report-path - . | keyrounds leaks import -\n" +
			"  trufflehog git file://. --json > report.ndjson; keyrounds leaks import report.ndjson",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			names := formatNames()
			if format != "" && !slices.Contains(names, format) {
				return &hintError{fmt.Errorf("unknown format %q", format), "one of " + joinComma(names)}
			}
			a, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			return importReports(cmd, a, out, format, args)
		},
	}
	out.flags(cmd, "table", "json")
	cmd.Flags().StringVar(&format, "format", "", "one of "+joinComma(formatNames())+" (default what it looks like)")
	return cmd
}

func formatNames() (names []string) {
	for _, f := range intake.Formats() {
		names = append(names, f.Name)
	}
	return names
}

type reportJSON struct {
	File       string   `json:"file"`
	Findings   int      `json:"findings"`
	Registered int      `json:"registered"`
	Foreign    int      `json:"foreign"`
	Leaked     []string `json:"leaked"` // credentials
}

func importReports(cmd *cobra.Command, a *app.App, out output, format string, files []string) error {
	var (
		values []reportJSON
		rows   [][]string
		all    []credential.Credential

		unknown []credential.Credential
	)
	for _, name := range files {
		in := cmd.InOrStdin()
		if name != "-" {
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			in = f
		}
		t, err := a.Exposure.ImportReport(cmd.Context(), actor(), func(found func(intake.Reported) error) (string, error) {
			return intake.ReadReport(in, format, found)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		v := reportJSON{File: name, Findings: t.Findings, Registered: t.Matched, Foreign: t.Foreign, Leaked: []string{}}
		for _, c := range t.Leaked {
			v.Leaked = append(v.Leaked, c.Name)
		}
		all, values, unknown = append(all, t.Leaked...), append(values, v), t.Unknown
		rows = append(rows, []string{
			name, fmt.Sprint(t.Findings), fmt.Sprint(t.Matched), fmt.Sprint(t.Foreign), strings.Join(v.Leaked, " "),
		})
	}
	if err := out.list(cmd.OutOrStdout(), []string{"FILE", "FINDINGS", "REGISTERED", "FOREIGN", "LEAKED"}, rows, values); err != nil {
		return err
	}
	tellUnknown(cmd.ErrOrStderr(), unknown)
	if len(all) == 0 {
		return nil
	}
	if err := tellLeaked(cmd, a, all); err != nil {
		return err
	}
	return errFound
}

// tellUnknown names those that a report could not be held against.
func tellUnknown(w io.Writer, unknown []credential.Credential) {
	if len(unknown) == 0 {
		return
	}
	const most = 5
	var names []string
	for _, c := range unknown[:min(len(unknown), most)] {
		names = append(names, c.Name)
	}
	more := ""
	if n := len(unknown) - most; n > 0 {
		more = fmt.Sprintf(" and %d others", n)
	}
	fmt.Fprintf(w, "warning: the secret of %s%s is not known yet, so it may be among the foreign ones: the daemon reads each within an "+
		"hour of its start or reload, unless it cannot (keyrounds findings list); then import again\n", joinComma(names), more)
}
