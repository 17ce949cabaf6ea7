package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/sealing"
	"github.com/keyrounds/keyrounds/secret"
)

func newSealing(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "sealing", Short: "The key that seals secrets in the database: status, rotate, abandon",
		Long: "The key that seals secrets in the database. It is in a file of its own (sealing.key); the database knows its id only.",
	}
	cmd.AddCommand(newSealingStatus(o), newSealingRotate(o), newSealingAbandon(o))
	return cmd
}

func newSealingStatus(o *options) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "status", Args: cobra.NoArgs,
		Short: "Show the keys, where they are, and how much is sealed with which; exit 1 if one is missing or cannot be used",
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := o.openAsIs(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			st, err := a.Sealing.Status(cmd.Context())
			if err != nil {
				return err
			}
			err = out.list(cmd.OutOrStdout(), []string{"KEY", "STATE", "SINCE", "FILE", "SEALED WITH IT"}, sealingRows(st), st)
			if err == nil && st.Problem != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), st.Problem)
				err = errFound
			}
			return err
		},
	}
	out.flags(cmd, "table", "json", "csv")
	return cmd
}

// sealingRows has a row for each key that is in the file, that seals, or with which something is sealed.
func sealingRows(st sealing.Status) (rows [][]string) {
	ids := slices.Clone(st.InFile)
	for id := range st.Missing() {
		ids = append(ids, id)
	}
	if st.Current != "" && !slices.Contains(ids, st.Current) {
		ids = append(ids, st.Current)
	}
	slices.Sort(ids)
	for _, id := range ids {
		state, since, file := "not in use", "", st.Path
		if st.KMS != "" {
			file += ", encrypted by " + st.KMS
		}
		var things []string
		for _, what := range slices.Sorted(maps.Keys(st.Sealed)) {
			if n := st.Sealed[what][id]; n > 0 {
				things = append(things, fmt.Sprintf("%s: %d", what, n))
			}
		}
		if len(things) > 0 {
			state = "old"
		}
		if id == st.Current {
			state, since = "seals", stamp(st.Since)
		}
		switch {
		case st.Unusable:
			file = st.Path + " cannot be used"
		case !slices.Contains(st.InFile, id):
			file = "missing"
		}
		rows = append(rows, []string{id, state, since, file, strings.Join(things, ", ")})
	}
	return rows
}

func newSealingRotate(o *options) *cobra.Command {
	var add bool
	cmd := &cobra.Command{
		Use: "rotate", Short: "Replace the sealing key, and seal everything anew with the new one",
		Long: "Replace the sealing key: a new one is added to the file, everything is sealed anew with it, and the old one is\n" +
			"taken out when nothing needs it any more. The daemon goes on meanwhile, and reads the file again when it meets the\n" +
			"new key. What was killed is gone on with by the next call.\n\n" +
			"Replicas that have files of their own need the new key before: --add adds it to this file and does no more; copy the\n" +
			"file to all of them, then rotate, then copy it again.\n\n" +
			"Backups of the database from before need the old key: keep the old file with them.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := o.openAsIs(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			w := cmd.OutOrStdout()
			if add {
				id, err := a.Sealing.Add(cmd.Context())
				if err != nil {
					return explainSealing(err)
				}
				fmt.Fprintf(w, "the key %s is in the file; copy it to the other replicas, then: keyrounds sealing rotate\n", id)
				return nil
			}
			r, err := a.Sealing.Rotate(cmd.Context(), actor(), func(n int) { fmt.Fprintf(w, "%d sealed anew\n", n) })
			if err != nil {
				return explainSealing(err)
			}
			if r.Resumed {
				fmt.Fprintf(w, "a rotation that was begun before is ended; its key is %s\n", r.To)
			}
			fmt.Fprintf(w, "everything is sealed with key %s; gone: %s\n", r.To, strings.Join(r.From, ", "))
			return nil
		},
	}
	cmd.Flags().BoolVar(&add, "add", false, "only add the new key to the file, for replicas that have files of their own")
	return cmd
}

func newSealingAbandon(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "abandon KEY", Short: "Give up what was sealed with a key that is lost for good",
		Long: "Give up what was sealed with a key that is lost, and of which there is no backup. Credentials stay registered, without\n" +
			"a secret: keyrounds credentials rotate brings new ones. Former secrets are not tried any more. If the key of\n" +
			"fingerprints was among it, present secrets get new ones at their next check: restart all daemons after this.",
		Example: "  keyrounds sealing abandon 7f3a09c4",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := o.openAsIs(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			n, err := a.Sealing.Abandon(cmd.Context(), actor(), args[0])
			if err != nil {
				return &hintError{err, "see keyrounds sealing status"}
			}
			fmt.Fprintf(
				cmd.OutOrStdout(),
				"%s sealed with key %s: given up; restart the daemons, and bring new secrets: keyrounds credentials rotate NAME\n",
				finding.Plural(n, "thing"), args[0],
			)
			return nil
		},
	}
}

// explainSealing says what to do about an error of a rotation.
func explainSealing(err error) error {
	var missing *secret.MissingKeyError
	var left *sealing.LeftError
	switch {
	case errors.As(err, &missing):
		return &hintError{err, "if there is no backup: keyrounds sealing abandon " + missing.ID}
	case errors.As(err, &left):
		return &hintError{err, "bring those a new secret (keyrounds credentials rotate NAME), then rotate again"}
	}
	return err
}
