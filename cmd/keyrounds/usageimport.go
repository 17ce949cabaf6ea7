package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/safefile"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

type importFlags struct {
	provider, format, feed, from, until, silence string

	replace bool
}

func newUsageImport(o *options) *cobra.Command {
	var (
		out output
		f   importFlags
	)
	cmd := &cobra.Command{
		Use:   "import --provider NAME --format FORMAT FILE...",
		Short: "Take in files of usage records; - is standard input",
		Long: "Take in files of usage records, plain, gzip or zstd; - is standard input. All files are taken in, or none, and the\n" +
			"same content only once in a format; --replace takes back what it brought before. An event with an id counts once,\n" +
			"however many files hold it. A file that is cut off, or of which nothing or less than half is understood, is\n" +
			"refused, and can be brought again: keyrounds usage try says what it looks like.\n\n" +
			"A file's records show when it was watching: from the first to the last\n" +
			"of them, where no day is missing; --from and --until say so where traffic is thin.\n" +
			"A format is a preset (keyrounds usage formats), auto for what a file looks like, or a file: FORMAT.jq, or\n" +
			"FORMAT.yaml like the presets, which also reads lines of text, CSV, logfmt and syslog (docs/usage.md).\n\n" +
			"Exit 0: taken in; 1: a file is not understood or cut off, and nothing was taken in; 2: it could not be done.",
		Example: "  keyrounds usage import --provider smartrecruiters --format nginx-json /var/log/nginx/api.json*\n" +
			"  zcat old.gz | keyrounds usage import --provider smartrecruiters --format plain -",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &hintError{errors.New("no file is named"), "- is standard input"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			to, covers, err := f.resolve(cmd.Context(), a.Config())
			if err != nil {
				return err
			}
			return f.importFiles(cmd, a, out, to, covers, args)
		},
	}
	out.flags(cmd, "table", "json", "csv")
	cmd.Flags().StringVar(&f.provider, "provider", "", "whose credentials the records show")
	cmd.Flags().StringVar(&f.format, "format", "", "how records are read (default plain, or that of --feed)")
	cmd.Flags().StringVar(&f.feed, "feed", "", "take them in as of this feed of the configuration")
	cmd.Flags().StringVar(&f.from, "from", "", "the files show everything from this date on")
	cmd.Flags().StringVar(&f.until, "until", "", "up to the end of this date")
	cmd.Flags().BoolVar(&f.replace, "replace", false, "take back what the same content brought before, such as in another format")
	cmd.Flags().StringVar(&f.silence, "silence", "", "quiet for so long is ordinary in these files, such as 2d (default it is learned)")
	return cmd
}

func (f importFlags) resolve(ctx context.Context, c *config.Config) (to feed.Feed, covers []feed.Span, err error) {
	if f.feed != "" {
		i := slices.IndexFunc(c.Feeds, func(x config.Feed) bool { return x.Name == f.feed })
		if i < 0 {
			return to, nil, &hintError{fmt.Errorf("no such feed: %q", f.feed), "see keyrounds usage status"}
		}
		to = c.Feeds[i].Feed
		if f.provider != "" && f.provider != to.Provider {
			return to, nil, &hintError{fmt.Errorf("the feed %q shows credentials of %q", f.feed, to.Provider), "leave --provider out"}
		}
	} else {
		if f.provider == "" {
			return to, nil, &hintError{
				errors.New("it is not said whose credentials the files show"), "--provider, or --feed: see keyrounds usage import --help",
			}
		}
		if _, ok := c.Providers[f.provider]; !ok {
			return to, nil, &hintError{
				fmt.Errorf("unknown provider %q", f.provider),
				"--provider is one of the configuration's; see keyrounds config check",
			}
		}
		to = feed.OfImports(f.provider, feed.Format{})
	}
	if f.format != "" || f.feed == "" {
		if to.Format, err = feed.ReadFormat(ctx, cmp.Or(strings.TrimPrefix(f.format, feed.Auto), "plain")); err != nil {
			return to, nil, err
		}
	}
	if f.silence != "" {
		if to.Silence, err = credential.ParseDuration(f.silence); err != nil || to.Silence < feed.DefaultSilence {
			return to, nil, &hintError{fmt.Errorf("--silence %q is no duration of a day or more", f.silence), "such as 2d"}
		}
		to.Learns = false
	}
	to.Addresses = c.Egress
	to.Poll = feed.Poll{} // a file is no poll: nothing overlaps
	covers, err = f.span(c)
	return to, covers, err
}

// span is what the files show everything of, by the flags; nil: nobody said.
func (f importFlags) span(c *config.Config) ([]feed.Span, error) {
	if f.from == "" && f.until == "" {
		return nil, nil
	}
	if f.from == "" || f.until == "" {
		return nil, &hintError{errors.New("--from and --until belong together"), "for example --from 2026-08-01 --until 2026-10-31"}
	}
	from, err1 := time.ParseInLocation(time.DateOnly, f.from, c.Zone)
	until, err2 := time.ParseInLocation(time.DateOnly, f.until, c.Zone)
	if until = until.AddDate(0, 0, 1); err1 != nil || err2 != nil || !from.Before(until) || until.After(time.Now().AddDate(0, 0, 1)) {
		return nil, &hintError{
			errors.New("--from and --until are two dates that are not in the future"),
			"for example --from 2026-08-01 --until 2026-10-31",
		}
	}
	if now := time.Now(); until.After(now) {
		until = now
	}
	return []feed.Span{{From: from, To: until}}, nil
}

type importJSON struct {
	File      string       `json:"file"`
	Records   int64        `json:"records"`
	Results   usage.Counts `json:"results"`
	FirstAt   *time.Time   `json:"first_at"`
	LastAt    *time.Time   `json:"last_at"`
	Duplicate bool         `json:"duplicate"` // it was taken in before, and was not again
	Bad       []feed.Bad   `json:"bad"`
}

func (f importFlags) importFiles(
	cmd *cobra.Command, a *app.App, out output, to feed.Feed, covers []feed.Span, names []string,
) error {
	files := make([]usage.Import, len(names))
	for i, name := range names {
		in, err := openInput(cmd, name)
		if err != nil {
			return err
		}
		defer in.Close()
		files[i] = usage.Import{Name: name, In: in, Covers: covers, Detect: f.format == feed.Auto}
		if f.replace {
			if files[i].Replace, err = contentOf(name); err != nil {
				return err
			}
		}
	}
	for i := range files {
		for _, f := range files {
			if f.Replace != "" {
				files[i].With = append(files[i].With, f.Replace)
			}
		}
	}
	taken, err := a.Actions.Import(cmd.Context(), actor(), to, files)
	if err != nil {
		return err
	}
	var (
		values  []importJSON
		rows    [][]string
		unknown int64
	)
	for i, name := range names {
		v := newImportJSON(name, taken[i])
		if f.format == feed.Auto && taken[i].Before == nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: this looks like %s\n", name, taken[i].Feed.Format.Name)
		}
		values = append(values, v)
		c := v.Results
		note := ""
		switch {
		case v.Duplicate:
			note = "taken in before, not again"
		case len(taken[i].Replaced) > 0:
			note = "in place of what it brought before"
		}
		rows = append(rows, []string{
			name, count(v.Records), count(c[usage.ResultUse]), count(c[usage.ResultFailure]), count(c.Own()),
			count(c[usage.ResultUnregistered] + c[usage.ResultOtherKey]), count(leftOut(c)), count(c[usage.ResultDuplicate]),
			count(c[usage.ResultBad]), stampOf(v.FirstAt), stampOf(v.LastAt), note,
		})
		unknown += c[usage.ResultUnregistered]
		v.warn(cmd.ErrOrStderr())
	}
	columns := []string{"FILE", "RECORDS", "USES", "REFUSED", "OWN", "UNREGISTERED", "LEFT OUT", "TWICE", "BAD", "FIRST", "LAST", "NOTE"}
	if err := out.list(cmd.OutOrStdout(), columns, rows, values); err != nil || !out.people() {
		return err
	}
	for _, v := range values {
		ruleLine(cmd.OutOrStdout(), v.File, v.Results)
		printBad(cmd.OutOrStdout(), v.File, v.Bad)
	}
	if unknown > 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "client ids that nobody registered: keyrounds usage unregistered")
	}
	return nil
}

// warn says what of a file was of no use, though it was taken in.
func (v importJSON) warn(w io.Writer) {
	if bad := v.Results[usage.ResultBad]; bad > 0 {
		fmt.Fprintf(w, "warning: %s: %d of %d records could not be read\n", v.File, bad, v.Records)
	}
	if n := v.Results[usage.ResultNoClient]; n > 0 && n == v.Records {
		fmt.Fprintf(w, "warning: %s: none of %d records names a client: it cannot show that a credential is not used\n", v.File, n)
	}
}

// leftOut are the records that are no use by any client, and nothing bad.
func leftOut(c usage.Counts) int64 {
	return c[usage.ResultSkipped] + c[usage.ResultOther] + c[usage.ResultNoClient] + c[usage.ResultHeartbeat] + c[usage.ResultLifecycle]
}

func newImportJSON(name string, taken rounds.TakenIn) importJSON {
	v := importJSON{File: name, Results: taken.Counts, Bad: orEmpty(taken.Samples)}
	switch {
	case taken.Before != nil:
		v.Duplicate, v.Results = true, taken.Before.Counts
	case !taken.First.IsZero():
		first, last := taken.First.UTC(), taken.Last.UTC()
		v.FirstAt, v.LastAt = &first, &last
	}
	v.Records = v.Results.Records()
	return v
}

// openInput opens a file, or standard input for -, with its progress shown on a terminal.
func openInput(cmd *cobra.Command, name string) (io.ReadCloser, error) {
	if name == "-" {
		return readThrough{io.TeeReader(cmd.InOrStdin(), readProgress(cmd.ErrOrStderr(), name, -1)), nil}, nil
	}
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return nil, &hintError{fmt.Errorf("%s is a directory", name), "name its files; a feed of type file follows a directory"}
	}
	size := int64(-1)
	if st.Mode().IsRegular() {
		size = st.Size()
	}
	f := &lateFile{name: name}
	bar := readProgress(cmd.ErrOrStderr(), name, size)
	return readThrough{io.TeeReader(f, bar), func() error { return errors.Join(bar.Close(), f.Close()) }}, nil
}

// lateFile is opened when it is read, and closed at its end: of thousands of files one is open.
type lateFile struct {
	name string
	file *os.File
	over bool
}

func (l *lateFile) Read(p []byte) (n int, err error) {
	if l.over {
		return 0, io.EOF
	}
	if l.file == nil {
		if l.file, err = safefile.Open(l.name); err != nil {
			return 0, err
		}
	}
	n, err = l.file.Read(p)
	if errors.Is(err, io.EOF) {
		l.over = true
		l.file.Close()
	}
	return n, err
}

func (l *lateFile) Close() error {
	if l.file == nil || l.over {
		return nil
	}
	return l.file.Close()
}

type readThrough struct {
	io.Reader
	close func() error
}

func (r readThrough) Close() error {
	if r.close == nil {
		return nil
	}
	return r.close()
}

// contentOf is the digest of a file's content.
func contentOf(name string) (string, error) {
	gone := &hintError{errors.New("--replace reads the file twice, and standard input or a pipe is gone then"), "name the file"}
	if name == "-" {
		return "", gone
	}
	f, err := safefile.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && !st.Mode().IsRegular() {
		return "", gone
	}
	digest, err := feed.ContentDigest(f)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return digest, err
}
