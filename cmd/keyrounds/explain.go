package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
)

func newExplain(o *options) *cobra.Command {
	var (
		out      output
		list     bool
		id       int64
		provider string
		scopes   []string
	)
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Say how answers of token endpoints are read, and by which rule",
		Long: "Read an answer of a token endpoint from standard input, as curl -i prints it, and say what keyrounds makes\n" +
			"of it; --provider says by whose rules. Or read answers as JSON Lines, with the members id, provider (one of the\n" +
			"configuration, or a preset), status, headers, body and requested_scopes, and say for each what\n" +
			"keyrounds makes of it. With --list, list the presets and what a check does at those providers.\n" +
			"With --finding, judge again the stored results that a finding rests on, by the rules in force now.",
		Example: `  curl -si https://idp.example/oauth/token -d grant_type=client_credentials … | keyrounds explain --provider okta
  echo '{"id":"a","provider":"generic","status":401,"body":"{\"error\":\"invalid_client\"}"}' | keyrounds explain`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if list {
				return listPresets(cmd.OutOrStdout(), out)
			}
			if cmd.Flags().Changed("finding") && id < 1 {
				return &hintError{fmt.Errorf("%d is not the number of a finding", id), "see keyrounds findings list"}
			}
			if id != 0 {
				return explainFinding(cmd, o, out, id)
			}
			providers := map[string]checker.Provider{}
			if o.configPath != "" || os.Getenv("KEYROUNDS_CONFIG") != "" {
				c, _, err := o.load()
				if err != nil {
					return err
				}
				providers = c.Providers
			}
			if _, err := providerOf(provider, providers); err != nil {
				return err
			}
			in := bufio.NewReader(cmd.InOrStdin())
			if begins, _ := in.Peek(5); string(begins) == "HTTP/" {
				return explainRaw(in, cmd.OutOrStdout(), out, providers, provider, scopes)
			}
			return explainAll(in, cmd.OutOrStdout(), out, providers)
		},
	}
	out.offers(cmd, "table", "json")
	cmd.Flags().StringVar(&provider, "provider", "generic", "of an HTTP answer: a provider of the configuration, or a preset")
	cmd.Flags().StringSliceVar(&scopes, "scopes", nil, "of an HTTP answer: the scopes that were asked for")
	cmd.Flags().BoolVar(&list, "list", false, "list the presets")
	cmd.Flags().Int64Var(&id, "finding", 0, "judge again what the finding of this id rests on")
	return cmd
}

type answerJSON struct {
	ID        json.RawMessage   `json:"id"`
	Provider  string            `json:"provider"`
	Status    int               `json:"status"`
	Headers   map[string]string `json:"headers"`
	Body      string            `json:"body"`
	Requested []string          `json:"requested_scopes"`
}

type readingJSON struct {
	ID      json.RawMessage `json:"id"`
	Outcome string          `json:"outcome"`
	Reason  *string         `json:"reason"`
	Rule    string          `json:"rule"`
}

const maxLine = 4 << 20

func explainAll(in io.Reader, w io.Writer, out output, providers map[string]checker.Provider) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	var rows [][]string
	encode := json.NewEncoder(w)
	encode.SetEscapeHTML(false)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		reading, err := explainLine(lines.Bytes(), providers)
		if err != nil {
			return &hintError{
				fmt.Errorf("standard input:%d: %w", n, err),
				`one object a line: {"id":"1","provider":"generic","status":401,"headers":{},"body":"","requested_scopes":null}`,
			}
		}
		if out.format == "json" {
			if err := encode.Encode(reading); err != nil {
				return err
			}
			continue
		}
		reason := ""
		if reading.Reason != nil {
			reason = *reading.Reason
		}
		var id string
		if json.Unmarshal(reading.ID, &id) != nil {
			id = string(reading.ID)
		}
		rows = append(rows, []string{id, reading.Outcome, reason, reading.Rule})
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("a line is longer than %d MiB", maxLine>>20)
		}
		return fmt.Errorf("standard input: %w", err)
	}
	if out.format == "json" {
		return nil
	}
	return writeTable(w, []string{"ID", "OUTCOME", "REASON", "RULE"}, rows)
}

// explainRaw says what is made of one HTTP answer, in words.
func explainRaw(
	in io.Reader, w io.Writer, out output, providers map[string]checker.Provider, provider string, requested []string,
) error {
	text, err := io.ReadAll(io.LimitReader(in, maxLine))
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	answer, err := rawAnswer(text)
	if err != nil {
		return &hintError{fmt.Errorf("standard input: %w", err), "give it what curl -i prints"}
	}
	p, err := providerOf(provider, providers)
	if err != nil {
		return err
	}
	answer.Requested = requested
	r := checker.Classify(p, answer)
	reading := readingJSON{json.RawMessage("null"), string(r.Outcome), orNull(string(r.Reason)), r.Rule}
	words := fmt.Sprintf("%-10s HTTP %d\n%-10s %s\n", "Answer", answer.Status, "Outcome", r.Outcome)
	if r.Reason != "" {
		words += fmt.Sprintf("%-10s %s\n", "Reason", r.Reason)
	}
	words += fmt.Sprintf("%-10s %s\n%-10s %s\n", "Means", printable(r.Message, false), "Rule", r.Rule)
	return out.one(w, reading, words)
}

// providerOf is a provider of the configuration, or one as a preset has it.
func providerOf(name string, providers map[string]checker.Provider) (checker.Provider, error) {
	if p, ok := providers[name]; ok {
		return p, nil
	}
	p, err := checker.Provider{Name: name, Preset: name}.Complete()
	if err != nil {
		known := slices.Collect(maps.Keys(providers))
		for _, preset := range checker.Presets() {
			known = append(known, preset.Name)
		}
		return p, &hintError{
			fmt.Errorf("%q is neither a provider of the configuration nor a preset", name), config.DidYouMean(name, known),
		}
	}
	return p, nil
}

func explainLine(line []byte, providers map[string]checker.Provider) (readingJSON, error) {
	var a answerJSON
	if err := json.Unmarshal(line, &a); err != nil {
		return readingJSON{}, errors.New("this is no answer in JSON")
	}
	if a.Status < 100 || a.Status > 599 {
		return readingJSON{}, fmt.Errorf("%d is not an HTTP status", a.Status)
	}
	if a.ID == nil {
		a.ID = json.RawMessage("null")
	}
	p, err := providerOf(a.Provider, providers)
	if err != nil {
		return readingJSON{}, err
	}
	h := http.Header{}
	for k, v := range a.Headers {
		h.Set(k, v)
	}
	body := []byte(a.Body)
	r := checker.Classify(
		p,
		checker.Response{Status: a.Status, Header: h, Body: body[:min(len(body), checker.MaxBody)], Requested: a.Requested},
	)
	return readingJSON{a.ID, string(r.Outcome), orNull(string(r.Reason)), r.Rule}, nil
}

func listPresets(w io.Writer, out output) error {
	type presetJSON struct {
		Name        string `json:"name"`
		Title       string `json:"title"`
		TokenURL    string `json:"token_url"`
		AuthMethod  string `json:"auth_method"`
		Matchers    int    `json:"matchers"`
		MinInterval string `json:"min_interval"`
		Lockout     string `json:"lockout"`
		Check       string `json:"check"`
		Docs        string `json:"docs"`
	}
	var (
		values []presetJSON
		rows   [][]string
	)
	for _, p := range checker.Presets() {
		least := ""
		if d := p.Check.MinInterval.Duration; d > 0 {
			least = credential.FormatDuration(d)
		}
		values = append(
			values,
			presetJSON{
				p.Name,
				p.Title,
				p.Provider.TokenURL,
				cmp.Or(p.Provider.AuthMethod, string(p.Provider.Kind)),
				len(p.Matchers),
				least,
				p.Check.Lockout.String(),
				p.Check.String(),
				p.Docs,
			},
		)
		rows = append(
			rows,
			[]string{
				p.Name,
				p.Title,
				cmp.Or(p.Provider.AuthMethod, string(p.Provider.Kind)),
				p.Provider.TokenURL,
				fmt.Sprint(len(p.Matchers)),
				least,
				p.Check.String(),
			},
		)
	}
	return out.list(
		w,
		[]string{"PRESET", "PROVIDER", "AUTH METHOD", "TOKEN URL", "MATCHERS", "AT MOST EVERY", "WHAT A CHECK DOES THERE"},
		rows,
		values,
	)
}
