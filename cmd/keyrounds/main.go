// Command keyrounds does the rounds of your keys: it checks OAuth 2.0 client credentials on a
// schedule and tells when one looks revoked.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // schedules work on machines without zone data

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// version is set by the Makefile.
var version = ""

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // half the memory where many credentials are read, for a few percent of the time
	}
	if err := harden(); err != nil {
		fmt.Fprintln(os.Stderr, "keyrounds: core files could not be switched off: "+err.Error())
	}
	os.Exit(run(os.Args[1:]))
}

// Exit codes: 0 fine, 1 something was found, 2 the call or the configuration is wrong or it could
// not be done.
const (
	exitFound = 1
	exitError = 2
	// 128 and the number of SIGINT, as shells have it.
	exitInterrupted = 130
)

// errFound ends a command that did its work and found something. It prints nothing more.
var errFound = errors.New("something was found")

func run(args []string) int {
	ctx, stop := signals()
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFound):
		return exitFound
	}
	var other exitWith
	if errors.As(err, &other) {
		return int(other)
	}
	explainError(os.Stderr, err)
	if errors.Is(err, errInterrupted) || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	var unread *usage.UnreadError
	var unlike *feed.NotDetectedError
	var broken *feed.BrokenError
	if errors.Is(err, feed.ErrCut) || errors.As(err, &broken) || errors.As(err, &unread) || errors.As(err, &unlike) {
		return exitFound // the command worked, and says that the file does not fit
	}
	return exitError
}

// samePress is the time within which a second SIGINT is the same Ctrl-C, of a key that was held.
const samePress = 300 * time.Millisecond

// signals ends the context at the first SIGTERM or SIGINT, and the process at the second that comes after samePress.
func signals() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-ch
		cancel()
		for first := time.Now(); ; {
			if s, ok := (<-ch).(syscall.Signal); ok && time.Since(first) > samePress {
				os.Exit(128 + int(s))
			}
		}
	}()
	return ctx, cancel
}

// explainError prints what, where, and what to do.
func explainError(w io.Writer, err error) {
	var many *config.Errors
	if errors.As(err, &many) {
		shown, more := many.Shown()
		for _, p := range shown {
			fmt.Fprintf(w, "keyrounds: %s\n", p)
		}
		if more != "" {
			fmt.Fprintf(w, "keyrounds: %s\n", more)
		}
		return
	}
	fmt.Fprintf(w, "keyrounds: %s\n", printable(inOwnWords(err), true))
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) && hinted.Hint() != "" {
		fmt.Fprintf(w, "hint: %s\n", hinted.Hint())
	}
}

func newRoot() *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use:   "keyrounds",
		Short: "Watch OAuth 2.0 client credentials: revoked, reduced, unreadable, unused",
		Long: "keyrounds exchanges every registered OAuth 2.0 client credential for a token on a schedule,\n" +
			"keeps what happened in Postgres, and tells people on Slack when one looks revoked.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       buildVersion(),
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("keyrounds {{.Version}}\n")
	root.PersistentFlags().StringVarP(
		&o.configPath,
		"config",
		"c",
		"",
		"configuration file (default $KEYROUNDS_CONFIG, ./keyrounds.yaml, /etc/keyrounds/config.yaml)",
	)
	root.PersistentFlags().StringVar(
		&o.logLevel,
		"log-level",
		"",
		"debug, info, warn or error (default info for run, warn for other commands)",
	)
	root.PersistentFlags().StringVar(
		&o.server,
		"server",
		"",
		"ask the daemon at this address, https://host or unix:/path, in place of the database (default $KEYROUNDS_SERVER)",
	)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return o.whereItWorks(cmd) }
	root.AddCommand(
		newRun(o),
		newConfined(),
		newDemo(o),
		newInit(o),
		newDoctor(o),
		newStatus(o),
		newCheck(o),
		newCredentials(o),
		newFindings(o),
		newNotifications(o),
		newNotify(o),
		newSilence(o),
		newUsage(o),
		newLeaks(o),
		newReport(o),
		newSealing(o),
		newExplain(o),
		newConfig(o),
		newMigrate(o),
		newBackup(o),
		newRestore(o),
		newAccess(o),
		newLogin(o),
		newLogout(),
		newAudit(o),
		newReady(o),
		newMan(),
		newVersion(),
	)
	inOurWords(root)
	o.completes(root)
	return root
}

type hintError struct {
	error
	hint string
}

func (e *hintError) Hint() string  { return e.hint }
func (e *hintError) Unwrap() error { return e.error }

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return strings.Trim(info.Main.Version, "()")
	}
	return "dev"
}

func newVersion() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, _ := debug.ReadBuildInfo()
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
			}{buildVersion(), info.GoVersion}
			return out.one(cmd.OutOrStdout(), v, fmt.Sprintf("keyrounds %s (%s)\n", v.Version, v.Go))
		},
	}
	out.flags(cmd, "table", "json")
	return cmd
}
