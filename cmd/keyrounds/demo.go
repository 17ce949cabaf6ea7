package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/demo"
)

func newDemo(o *options) *cobra.Command {
	var (
		howLong string
		keep    bool
		fleet   int
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show it all on this machine: a simulated provider and Slack, no configuration",
		Long: "Show it all on this machine, without configuration: the real daemon with its private Postgres, beside\n" +
			"a simulated SmartRecruiters and a simulated Slack. Within a minute a credential is revoked, suspected,\n" +
			"confirmed, alerted and restored; a gateway's log shows which credentials are used, unused, never used, and\n" +
			"that someone used a canary; the report of unused credentials is made; and a secret is found in the history of a\n" +
			"repository, rotated, and its old one proven dead. It goes on until Ctrl-C, or as long as --for says.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var long time.Duration
			if howLong != "" {
				var err error
				if long, err = credential.ParseDuration(howLong); err != nil || long <= 0 {
					return &hintError{fmt.Errorf("--for %q is not a time", howLong), "for example 90s"}
				}
			}
			if fleet < 0 || fleet > mostFleet {
				return &hintError{fmt.Errorf("--credentials %d is too many", fleet), fmt.Sprintf("at most %d", mostFleet)}
			}
			return o.demo(cmd.Context(), cmd.OutOrStdout(), demo.Options{For: long, Keep: keep, Credentials: fleet})
		},
	}
	cmd.Flags().StringVar(&howLong, "for", "", "end by itself so long after the first line of the story, such as 90s")
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the directory with the database, configuration and log")
	cmd.Flags().IntVar(&fleet, "credentials", 0, "so many credentials more, of a large fleet, such as 5000")
	return cmd
}

const mostFleet = 20_000

func (o *options) demo(ctx context.Context, out io.Writer, show demo.Options) error {
	show.Out, show.Actor, show.Proof = out, actor(), proofText
	show.Paint = func(code, text string) string { return paint(out, code, text) }
	show.Daemon = func(ctx context.Context, file *os.File) (app.Options, func(), error) {
		level, err := o.level(slog.LevelInfo)
		if err != nil {
			return app.Options{}, nil, err
		}
		log := logger(file, level)
		tracer, flush, err := tracing(ctx, log)
		return app.Options{Version: buildVersion(), Log: log, Level: level, Tracer: tracer}, flush, err
	}
	return demo.Run(ctx, show)
}
