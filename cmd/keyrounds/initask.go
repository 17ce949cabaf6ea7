package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/secret"
)

// errNothingWritten: a question was left without an answer.
var errNothingWritten = errors.New("nothing was written")

// ask asks on a terminal for what no flag said; where there is none it says which flags are missing.
func (in *first) ask(cmd *cobra.Command) error {
	if in.credential.Secret != "" && !secret.HasScheme(in.credential.Secret) {
		return mistake(cmd, "for example --secret env:NAME; a secret itself is typed or piped",
			"--secret is where the secret is, never the secret itself")
	}
	f, ok := terminalOf(cmd)
	if !ok {
		return in.fromFlags(cmd)
	}
	steps := []func(*cobra.Command, *os.File) error{in.askProvider, in.askCredential, in.askSecret, in.askSlack}
	for _, step := range steps {
		if err := step(cmd, f); err != nil {
			return err
		}
	}
	return nil
}

func (in *first) fromFlags(cmd *cobra.Command) error {
	var lacks []string
	if in.preset == "" && in.tokenURL == "" {
		lacks = append(lacks, "--preset or --token-url")
	}
	if in.credential.Name == "" {
		lacks = append(lacks, "--name")
	}
	if in.credential.ClientID == "" && in.needsClientID() {
		lacks = append(lacks, "--client-id")
	}
	if (in.slackChannel == "") != (in.slackToken == "") {
		lacks = append(lacks, map[bool]string{true: "--slack-channel", false: "--slack-token"}[in.slackChannel == ""])
	}
	if len(lacks) > 0 {
		slices.Sort(lacks)
		return mistake(cmd, "", "standard input is no terminal, so nobody can be asked; missing: %s", joinComma(lacks))
	}
	in.nameProvider()
	if in.credential.Secret != "" {
		return nil
	}
	v, err := askSecret(cmd, "")
	if err == nil && v.IsZero() {
		err = errors.New("standard input has no secret")
	}
	if err != nil {
		return &hintError{err, "pipe it in, or say where it is: --secret env:NAME"}
	}
	in.typed, in.credential.Secret = v, secret.SchemeSealed+":"
	return nil
}

// question asks for a line until right takes it; "" stands for the usual one. What right says is shown, and asked again.
func question(cmd *cobra.Command, f *os.File, text, usual string, right func(string) error) (string, error) {
	for {
		prompt := text
		if usual != "" {
			prompt += " [" + usual + "]"
		}
		line, err := asked(cmd, prompt, func() ([]byte, error) { return readLine(f) })
		switch {
		case errors.Is(err, errInterrupted):
			fmt.Fprintln(cmd.ErrOrStderr())
			return "", err
		case errors.Is(err, io.EOF):
			fmt.Fprintln(cmd.ErrOrStderr())
			return "", errNothingWritten
		case err != nil:
			return "", err
		}
		answer := strings.TrimSpace(string(line))
		if answer == "" {
			answer = usual
		}
		err = right(answer)
		if err == nil {
			return answer, nil
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "  %s\n", printable(err.Error(), false))
	}
}

func anything(string) error { return nil }

func something(what string) func(string) error {
	return func(answer string) error {
		if answer == "" {
			return errors.New(what + " is needed")
		}
		return nil
	}
}

func (in *first) askProvider(cmd *cobra.Command, f *os.File) (err error) {
	if in.preset == "" && in.tokenURL == "" {
		var names []string
		for _, p := range checker.Presets() {
			names = append(names, p.Name)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Known kinds of providers: %s\n", joinComma(names))
		kind, err := question(cmd, f, "Which kind, or the URL of the token endpoint", "", func(answer string) error {
			if isURL(answer) || slices.Contains(names, answer) {
				return nil
			}
			return fmt.Errorf("there is no %q: %s", answer, config.DidYouMean(answer, names))
		})
		if err != nil {
			return err
		}
		if isURL(kind) {
			in.tokenURL = kind
		} else {
			in.preset = kind
		}
	}
	if preset, err := checker.FindPreset(in.preset); err == nil && in.tokenURL == "" && preset.Provider.TokenURL == "" &&
		preset.Provider.Kind != checker.APIKey {
		if in.tokenURL, err = question(cmd, f, "URL of the token endpoint", "", func(answer string) error {
			if !isURL(answer) {
				return errors.New("a URL is needed, such as https://idp.example.com/oauth/token")
			}
			return nil
		}); err != nil {
			return err
		}
	}
	in.nameProvider()
	return nil
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

var notOfNames = regexp.MustCompile(`[^a-z0-9]+`)

// nameProvider calls it by its preset, or else by its host.
func (in *first) nameProvider() {
	if in.provider != "" {
		return
	}
	if in.provider = in.preset; in.provider != "" && in.provider != checker.Generic {
		return
	}
	in.provider = "provider"
	if u, err := url.Parse(in.tokenURL); err == nil && u.Host != "" {
		if _, err := netip.ParseAddr(u.Hostname()); err != nil {
			in.provider = strings.Trim(notOfNames.ReplaceAllString(strings.ToLower(u.Hostname()), "-"), "-")
		}
	}
}

func (in *first) askCredential(cmd *cobra.Command, f *os.File) (err error) {
	c := &in.credential
	if c.Name == "" {
		if c.Name, err = question(cmd, f, "What to call the credential, such as ats-sync", "", in.rightName); err != nil {
			return err
		}
	}
	if c.ClientID == "" && in.needsClientID() {
		if c.ClientID, err = question(cmd, f, "Client id", "", something("a client id")); err != nil {
			return err
		}
	}
	if !cmd.Flags().Changed("owner") {
		c.Owner, err = question(cmd, f, "Owner, a team or person (Enter: nobody)", "", anything)
	}
	return err
}

func (in *first) needsClientID() bool {
	p, err := checker.Provider{Preset: in.preset}.Complete()
	return err != nil || p.NeedsClientID()
}

func (in *first) rightName(name string) error {
	_, problems := config.CredentialIn{Name: name}.Credential(config.Defaults{})
	for _, p := range problems {
		if p.Field == "name" {
			return fmt.Errorf("%s: %s", p.Message, p.Hint)
		}
	}
	return nil
}

// askSecret asks without echo for the secret, or for where it is: what is pasted by mistake is not shown either.
func (in *first) askSecret(cmd *cobra.Command, f *os.File) error {
	if in.credential.Secret != "" {
		return nil
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "A secret that is typed is sealed in the database. Or say where it is: env:NAME, file:/path and so on.")
	line, err := hidden(cmd, f, "Secret of "+in.credential.Name+" (not shown)", "secret")
	if err != nil {
		return err
	}
	if text := strings.TrimSpace(string(line)); secret.HasScheme(text) {
		in.credential.Secret = text
		fmt.Fprintln(cmd.ErrOrStderr(), "  it is read from there")
		return nil
	}
	phrase, err := readPassphrase(cmd)
	if err != nil {
		return err
	}
	defer phrase.Wipe()
	warnOfBlanks(cmd, line)
	in.typed, err = secret.ParseKey(line, phrase)
	in.credential.Secret = secret.SchemeSealed + ":"
	return err
}

func (in *first) askSlack(cmd *cobra.Command, f *os.File) (err error) {
	if in.slackChannel == "" && !cmd.Flags().Changed("slack-channel") {
		if in.slackChannel, err = question(cmd, f, "Slack channel for findings, such as #alerts (Enter: none)", "", anything); err != nil {
			return err
		}
	}
	for in.slackChannel != "" && in.slackToken == "" {
		line, err := hidden(cmd, f, "Where Slack's bot token is, such as env:SLACK_BOT_TOKEN (not shown)", "reference")
		if err != nil {
			return err
		}
		if text := strings.TrimSpace(string(line)); secret.HasScheme(text) {
			in.slackToken = text
			return nil
		}
		fmt.Fprintln(cmd.ErrOrStderr(), "  only where it is can be written: env:NAME, file:/path, systemd:NAME or vault:mount/path#field")
	}
	return nil
}

// text is the configuration file.
func (in *first) text() ([]byte, error) {
	in.credential.Provider = in.provider
	file := config.File{
		DataDir: in.dataDir,
		Providers: map[string]config.ProviderIn{in.provider: {
			Preset: in.preset, TokenURL: in.tokenURL, AuthMethod: in.authMethod, AllowPrivateNetworks: in.private,
		}},
		Credentials: []config.CredentialIn{in.credential},
	}
	if in.database != "" {
		file.Database = &config.DatabaseSection{URL: in.database}
	}
	if in.slackChannel != "" || in.slackToken != "" {
		file.Slack = &config.SlackIn{Token: in.slackToken, Channel: in.slackChannel}
	}
	var b strings.Builder
	b.WriteString("# Written by keyrounds init. config.example.yaml shows every key; keyrounds config check says what is wrong.\n")
	err := writeYAML(&b, file)
	return []byte(b.String()), err
}
