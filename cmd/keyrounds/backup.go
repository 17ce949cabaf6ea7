package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/backup"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/safefile"
	"github.com/keyrounds/keyrounds/secret"
)

func newBackup(o *options) *cobra.Command {
	var (
		recipients []string
		list       string
		phrase     string
		withoutKey bool
	)
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Back up the database and the sealing key to one encrypted file",
		Long: "Back up the database and the sealing key to one file, encrypted with age to its recipients or to a passphrase, which is\n" +
			"asked for where neither is given. It works beside a running daemon and without one, with the private Postgres and\n" +
			"with one of your own. What is written is read back and checked whole before FILE has its name; one that is there is\n" +
			"replaced. FILE - is standard output, which cannot be read back: check it with restore --check.\n\n" +
			"Secrets that the host has (env:, file: and so on), and the configuration file, are not in it.",
		Example: "  keyrounds backup /backup/keyrounds.age --recipient age1…\n" +
			"  keyrounds backup /backup/keyrounds-$(date +%F).age --passphrase-file /etc/keyrounds/backup-passphrase\n" +
			"  keyrounds backup - --recipients-file recipients | ssh vault 'cat > keyrounds.age'",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, _, err := o.loadBy(config.LoadSettings)
			if err != nil {
				return err
			}
			level, err := o.level(slog.LevelError)
			if err != nil {
				return err
			}
			b := app.BackupOptions{
				Config: c, Version: buildVersion(), Log: logger(os.Stderr, level), Actor: actor(), WithoutKey: withoutKey, Now: time.Now,
				Path: args[0], Out: cmd.OutOrStdout(),
			}
			said := cmd.OutOrStdout()
			if args[0] == "-" {
				b.Path, said = "", cmd.ErrOrStderr()
				if isTerminal(cmd.OutOrStdout()) {
					return &hintError{errors.New("a backup is not for a terminal"), "name a file, or redirect standard output"}
				}
			}
			var to string
			if b.Lock, to, err = lockOf(cmd, recipients, list, phrase); err != nil {
				return err
			}
			var made backup.Contents
			err = awaiting(cmd.ErrOrStderr(), "backing up "+subjectOf(c), func() (err error) {
				made, err = app.Backup(cmd.Context(), b)
				return err
			})
			if err != nil {
				return err
			}
			checked := "read back and checked"
			if b.Path == "" {
				checked = "not read back: keyrounds restore --check does"
			}
			fmt.Fprintf(said, "%s is backed up: %s; encrypted to %s, %s\n", subjectOf(c), summary(made), to, checked)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&recipients, "recipient", nil, "age's public `KEY` (age1…) that it is encrypted to; may be repeated")
	f.StringVar(&list, "recipients-file", "", "`FILE` with such keys, one a line")
	f.StringVar(&phrase, "passphrase-file", "", "`FILE` with a passphrase that it is encrypted to")
	f.BoolVar(&withoutKey, "without-key", false, "leave the sealing key out: it is backed up elsewhere")
	return cmd
}

// subjectOf says what is backed up, for people.
func subjectOf(c *config.Config) string {
	if c.Database.IsZero() {
		return c.DataDir
	}
	return "the database of database.url"
}

func summary(c backup.Contents) string {
	key := "and the sealing key"
	if !c.SealingKey {
		key = "without the sealing key"
	}
	return fmt.Sprintf("%d rows in %d tables %s, as of %s, schema %d, %s",
		c.Rows(), len(c.Tables), key, stamp(c.At), c.Schema, size(c.Size))
}

func size(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// lockOf is what the flags say, and how to say it.
func lockOf(cmd *cobra.Command, recipients []string, list, phrase string) (l backup.Lock, to string, err error) {
	if len(recipients) == 0 && list == "" {
		v, err := passphrase(cmd, phrase, true)
		if err != nil {
			return l, "", err
		}
		defer v.Wipe()
		l, err = backup.ToPassphrase(v)
		return l, "a passphrase", err
	}
	if phrase != "" {
		return l, "", &hintError{
			errors.New("a backup is encrypted to a passphrase or to recipients, not to both"),
			"make two backups, or leave --passphrase-file out",
		}
	}
	lines := strings.Join(recipients, "\n")
	if list != "" {
		text, err := readSmall(list)
		if err != nil {
			return l, "", fmt.Errorf("--recipients-file: %w", err)
		}
		if l, err = backup.ToRecipients(bytes.NewReader(text)); err != nil {
			return l, "", fmt.Errorf("--recipients-file %s: %w", list, err)
		}
		lines += "\n" + string(text)
	}
	if len(recipients) > 0 {
		if _, err = backup.ToRecipients(strings.NewReader(strings.Join(recipients, "\n"))); err != nil {
			return l, "", fmt.Errorf("--recipient: %w", err)
		}
	}
	l, err = backup.ToRecipients(strings.NewReader(lines))
	return l, "its recipients", err
}

// passphrase reads one from a file, or asks for it on a terminal without echo; twice where it is a new one.
func passphrase(cmd *cobra.Command, path string, fresh bool) (v secret.Value, err error) {
	if path != "" {
		b, err := readSmall(path)
		if err != nil {
			return v, fmt.Errorf("--passphrase-file: %w", err)
		}
		defer clear(b)
		return secret.New(bytes.TrimRight(b, "\r\n")), nil
	}
	f, ok := terminalOf(cmd)
	if !ok {
		if fresh {
			return v, &hintError{
				errors.New("a backup is always encrypted, and nothing says to whom"),
				"give --recipient, --recipients-file or --passphrase-file",
			}
		}
		return v, &hintError{
			errors.New("nothing says what opens the backup"),
			"give --passphrase-file, or --identity for one that was encrypted to recipients",
		}
	}
	if v, err = askPassphrase(cmd, f, "Passphrase of the backup"); err != nil || !fresh {
		return v, err
	}
	again, err := askPassphrase(cmd, f, "The same once more")
	if err != nil {
		return v, err
	}
	defer again.Wipe()
	if !v.Equal(again) {
		return v, errors.New("the second passphrase is not the first")
	}
	return v, nil
}

func askPassphrase(cmd *cobra.Command, f *os.File, prompt string) (secret.Value, error) {
	b, err := hidden(cmd, f, prompt, "passphrase")
	if err != nil {
		return secret.Value{}, err
	}
	defer clear(b)
	return secret.New(b), nil
}

// readSmall reads a file of 1 MiB at most, or a pipe: /dev/stdin, or <(…) of a shell.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

func newRestore(o *options) *cobra.Command {
	var (
		out        output
		identities []string
		phrase     string
		dataDir    string
		check      bool
	)
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a database of a backup, or only check it",
		Long: "Make a database of a backup, with its sealing key: in an empty directory (--data-dir, or data_dir of the\n" +
			"configuration), or in the empty database of database.url. FILE is read to its end and checked first; a database that\n" +
			"is there is never touched, and one that was not restored to its end is never taken for whole. The schema is brought\n" +
			"up to date.\n\n" +
			"Stop the daemon that was backed up before you run one on what was restored: both would tell of the same findings.\n\n" +
			"--check only checks FILE, and prints what is in it.",
		Example: "  keyrounds restore /backup/keyrounds.age --identity key.txt --data-dir /var/lib/keyrounds\n" +
			"  keyrounds restore --check /backup/keyrounds.age --passphrase-file /etc/keyrounds/backup-passphrase",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := openBackup(cmd, args[0], check)
			if err != nil {
				return err
			}
			defer file.Close()
			key, err := keyOf(cmd, file, identities, phrase)
			if err != nil {
				return err
			}
			if check {
				var c backup.Contents
				err := awaiting(cmd.ErrOrStderr(), "reading "+args[0], func() (err error) {
					c, err = backup.Check(file, key, nil)
					return err
				})
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				return out.one(cmd.OutOrStdout(), c, describeBackup(c))
			}
			level, err := o.level(slog.LevelError)
			if err != nil {
				return err
			}
			r := app.RestoreOptions{DataDir: dataDir, Log: logger(os.Stderr, level), Actor: actor(), Key: key, Now: time.Now}
			if dataDir == "" {
				if r.Config, _, err = o.loadBy(config.LoadSettings); err != nil {
					return err
				}
			}
			var done app.Restored
			err = awaiting(cmd.ErrOrStderr(), "restoring "+args[0], func() (err error) {
				done, err = app.Restore(cmd.Context(), file, r)
				return err
			})
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			where := done.Where
			if where == "" {
				where = "the database of database.url"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is restored: %s; the schema is now at version %d\n",
				where, summary(done.Contents), done.Schema.Current)
			if !done.HaveKey {
				fmt.Fprintf(cmd.ErrOrStderr(),
					"the backup has no sealing key: put it in %s before a daemon runs, which would make another one\n", done.KeyPath)
			}
			return nil
		},
	}
	out.flags(cmd, "table", "json")
	f := cmd.Flags()
	f.StringArrayVar(&identities, "identity", nil, "`FILE` with the private key that age-keygen wrote; may be repeated")
	f.StringVar(&phrase, "passphrase-file", "", "`FILE` with the passphrase that it was encrypted to")
	f.StringVar(&dataDir, "data-dir", "", "`DIR` for database and sealing key, which has none; no configuration is read")
	f.BoolVar(&check, "check", false, "only check FILE, and print what is in it (with -o)")
	return cmd
}

// openBackup opens a file, or to check it standard input; to restore it, it is read twice.
func openBackup(cmd *cobra.Command, path string, check bool) (*os.File, error) {
	if path != "-" {
		return safefile.Open(path)
	}
	f, ok := cmd.InOrStdin().(*os.File)
	if !ok || !check || isTerminal(f) {
		return nil, &hintError{
			errors.New("a backup is restored from a file: it is read twice, to check it first"), "write standard input to a file",
		}
	}
	return f, nil
}

// keyOf is what the flags say, or what is asked for.
func keyOf(cmd *cobra.Command, file *os.File, identities []string, phrase string) (key backup.Key, err error) {
	for _, path := range identities {
		text, err := readSmall(path)
		if err != nil {
			return nil, fmt.Errorf("--identity: %w", err)
		}
		defer clear(text)
		ids, err := backup.FromIdentities(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("--identity %s: %w", path, err)
		}
		key = append(key, ids...)
	}
	if len(identities) > 0 && phrase == "" {
		return key, nil
	}
	if phrase == "" {
		begin := make([]byte, 64)
		n, err := file.ReadAt(begin, 0)
		if n > 0 {
			byPhrase, err := backup.Passphrase(begin[:n])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file.Name(), err)
			}
			if !byPhrase {
				return nil, &hintError{errors.New("the backup was encrypted to recipients"), "give the key of one of them: --identity FILE"}
			}
		} else if err != nil && !errors.Is(err, io.EOF) {
			return nil, &hintError{errors.New("nothing says what opens the backup"), "give --passphrase-file or --identity"}
		}
	}
	v, err := passphrase(cmd, phrase, false)
	if err != nil {
		return nil, err
	}
	defer v.Wipe()
	ids, err := backup.FromPassphrase(v)
	return append(key, ids...), err
}

func describeBackup(c backup.Contents) string {
	var b strings.Builder
	fmt.Fprintf(&b, "It is whole: %s.\nMade by keyrounds %s.\n\n", summary(c), printable(c.Keyrounds, false))
	rows := make([][]string, 0, len(c.Tables))
	for _, t := range c.Tables {
		s := c.Sums[t.Name]
		rows = append(rows, []string{t.Name, fmt.Sprint(s.Rows), fmt.Sprint(s.Bytes), s.SHA256[:16]})
	}
	_ = writeTable(&b, []string{"TABLE", "ROWS", "BYTES", "SHA-256"}, rows)
	return b.String()
}
