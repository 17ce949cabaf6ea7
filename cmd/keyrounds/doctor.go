package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// A doctor's examination looks at one thing, changes nothing, and says what is wrong and what to do. It reads secrets as the daemon
// does and sends none but those of receivers, to their own receivers; no credential is exchanged.
type examination struct {
	check string
	look  func(context.Context) []remark
}

// remark is a line of the doctor. It is a promise: scripts of users depend on its names.
type remark struct {
	Check   string `json:"check"`
	Subject string `json:"subject,omitempty"` // which provider, receiver or feed
	Result  string `json:"result"`            // ok, warning or failed
	Message string `json:"message"`
	Advice  string `json:"advice,omitempty"` // what to do, where it is not ok
}

// What an examination can find.
const (
	fine    = "ok"
	warning = "warning"
	failed  = "failed"
)

// atOnce is how many examinations are made at the same time.
const atOnce = 4

func newDoctor(o *options) *cobra.Command {
	var (
		out     output
		timeout time.Duration
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at all that keyrounds needs, and say what is wrong and what to do",
		Long: "Look at all that keyrounds needs, and say of each thing whether it is ok, and if not what to do: the configuration\n" +
			"and the secrets that it names, the database, its schema, the sealing key, the daemon, the disk, the certificate of the\n" +
			"pages, the name, the certificate and the clock of each provider, the receivers and the feeds.\n\n" +
			"It changes nothing, exchanges no credential and sends no message. Beside a running daemon it uses that one's database;\n" +
			"a private Postgres that does not run is started for the while. It goes on where the configuration file is not valid, as\n" +
			"far as that can be read. What can be read is a matter of who reads: run it as the daemon's user, with its environment.\n\n" +
			"Exit 0: nothing failed, though there may be warnings; 1: something failed; 2: the call is wrong.",
		Example: "  keyrounds doctor\n  keyrounds doctor -o json | jq '.[] | select(.result != \"ok\")'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if timeout <= 0 {
				return mistake(cmd, "for example --timeout 10s", "--timeout: nothing can be looked at in %s", timeout)
			}
			log, err := o.quiet()
			if err != nil {
				return err
			}
			p := &patient{options: o, log: log}
			all := []remark{}
			sick := false
			for rs := range examine(cmd.Context(), cmd.ErrOrStderr(), timeout, p.examinations()) {
				for _, r := range rs {
					r.Message, r.Advice = printable(plainWords.Replace(r.Message), false), printable(r.Advice, false)
					if sick = sick || r.Result == failed; out.people() {
						printRemark(cmd.OutOrStdout(), r)
					}
					all = append(all, r)
				}
			}
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if err := out.one(cmd.OutOrStdout(), all, ""); err != nil {
				return err
			}
			if sick {
				return errFound
			}
			return nil
		},
	}
	out.flags(cmd, "table", "json")
	cmd.Flags().DurationVar(&timeout, "timeout", 15*time.Second, "how long each thing is looked at, at most")
	return cmd
}

// examine makes examinations, atOnce at a time and each within a timeout, and yields what they found in their order, as soon as it
// is known; w is told what is waited for. One that does not end in time is a failure of its own.
func examine(ctx context.Context, w io.Writer, timeout time.Duration, all []examination) func(yield func([]remark) bool) {
	return func(yield func([]remark) bool) {
		found := make([]chan []remark, len(all))
		free := make(chan struct{}, atOnce)
		for i := range all {
			found[i] = make(chan []remark, 1)
		}
		go func() {
			for i, e := range all {
				free <- struct{}{}
				go func() {
					found[i] <- within(ctx, timeout, e)
					<-free
				}()
			}
		}()
		for i, e := range all {
			var rs []remark
			_ = awaiting(w, "looking at "+e.check, func() error {
				rs = <-found[i]
				return nil
			})
			if !yield(rs) {
				return
			}
		}
	}
}

// within does not wait for an examination that does not heed its context.
func within(ctx context.Context, timeout time.Duration, e examination) []remark {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	found := make(chan []remark, 1)
	go func() { found <- e.look(limited) }()
	select {
	case rs := <-found:
		return rs
	case <-limited.Done():
	}
	select {
	case rs := <-found: // it noticed itself, and knows more
		return rs
	case <-time.After(time.Second):
	}
	check, subject, _ := strings.Cut(e.check, " ")
	return []remark{{
		Check: check, Subject: subject, Result: failed, Message: fmt.Sprintf("nothing was found out in %s", timeout),
		Advice: "look at what hangs, or give it longer: --timeout",
	}}
}

func printRemark(w io.Writer, r remark) {
	code := map[string]string{fine: "32", warning: "33", failed: "31"}[r.Result]
	about := strings.TrimSpace(r.Check + " " + r.Subject)
	fmt.Fprintf(w, "%s %s: %s\n", paint(w, code, fmt.Sprintf("%-7s", r.Result)), about, r.Message)
	if r.Advice != "" {
		fmt.Fprintf(w, "        to do: %s\n", r.Advice)
	}
}
