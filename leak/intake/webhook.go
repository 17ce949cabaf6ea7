package intake

import (
	"context"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/secret"
)

// Webhook says how reports that a service posts are verified and read: first Verify, then Read. It is a value and safe
// for concurrent use.
type Webhook struct {
	Name   string
	Type   string           // GitHub, GitHubPartner or GitGuardian
	Secret secret.Reference // what deliveries are signed with; GitHubPartner has none
	API    string           // of GitHub; default https://api.github.com
	Token  secret.Reference // of GitHub: may read secret scanning alerts
	Keys   string           // of GitHubPartner: URL or file of the public keys
	// AllowPrivateNetworks lets API and Keys be at an address that is private.
	AllowPrivateNetworks bool
}

// The types of webhooks: GitHub's secret scanning alerts, GitHub's secret scanning partner program, GitGuardian's custom
// webhook.
const (
	GitHub        = "github"
	GitHubPartner = "github-partner"
	GitGuardian   = "gitguardian"
)

// WebhookTypes returns the types of webhooks.
func WebhookTypes() []string { return []string{GitHub, GitHubPartner, GitGuardian} }

// RefusedError says that a delivery is not from its sender, or is too old.
type RefusedError struct{ Why string }

func (e *RefusedError) Error() string { return e.Why }

// FetchError says that a delivery is in order, and that the alert that it names could not be fetched. Reading it later
// may succeed. Why is scrubbed.
type FetchError struct{ Why string }

func (e *FetchError) Error() string { return e.Why }

// Fetch gets a document of the service that posts; with the webhook's token, where auth is set. It bounds time and size.
type Fetch func(ctx context.Context, url string, auth bool) ([]byte, error)

// freshness is how far GitGuardian's time of a delivery, which is signed, may be from ours; else it is a replay.
const freshness = 5 * time.Minute

// Verify checks the signature of a delivery's body, and of GitGuardian that it is at most 5 minutes from now. key is the
// shared secret; of GitHubPartner it is the document with the public keys. What is not from the sender is a
// *RefusedError; any other error is of key.
//
// Sources: docs.github.com "Validating webhook deliveries"; "Secret scanning partner program";
// docs.gitguardian.com "Custom webhook".
func (w Webhook) Verify(h http.Header, body, key []byte, now time.Time) error {
	refuse := func(why string) error { return &RefusedError{why} }
	switch w.Type {
	case GitHub:
		return hmacIs(h.Get("X-Hub-Signature-256"), key, body)
	case GitGuardian:
		stamp := h.Get("Timestamp")
		at, ok := stampTime(stamp)
		if !ok {
			return refuse("the header Timestamp is missing, or no time")
		}
		if d := now.Sub(at).Abs(); d > freshness {
			return refuse(fmt.Sprintf("it is %s old: a replay, or a clock is wrong", d.Round(time.Second)))
		}
		return hmacIs(h.Get("Gitguardian-Signature"), append([]byte(stamp), key...), body)
	case GitHubPartner:
		public, err := partnerKey(key, h.Get("Github-Public-Key-Identifier"))
		if err != nil {
			return err
		}
		signature, err := base64.StdEncoding.DecodeString(h.Get("Github-Public-Key-Signature"))
		sum := sha256.Sum256(body)
		if err != nil || !ecdsa.VerifyASN1(public, sum[:], signature) {
			return refuse("the signature is not right")
		}
		return nil
	}
	return refuse("unknown type")
}

func hmacIs(header string, key, body []byte) error {
	text, is := strings.CutPrefix(header, "sha256=")
	given, err := hex.DecodeString(text)
	m := hmac.New(sha256.New, key)
	m.Write(body)
	if !is || err != nil || len(key) == 0 || !hmac.Equal(given, m.Sum(nil)) {
		return &RefusedError{"the signature is missing or not right"}
	}
	return nil
}

// stampTime reads seconds since 1970, with or without a fraction, or RFC 3339.
func stampTime(text string) (time.Time, bool) {
	if t := date(text); !t.IsZero() {
		return t, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < 0 || f > 1e11 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(f * 1000)), true
}

func partnerKey(document []byte, id string) (*ecdsa.PublicKey, error) {
	var keys struct {
		PublicKeys []struct {
			KeyIdentifier string `json:"key_identifier"`
			Key           string `json:"key"`
		} `json:"public_keys"`
	}
	if err := json.Unmarshal(document, &keys); err != nil {
		return nil, fmt.Errorf("the public keys cannot be read: %s", jsonError(err))
	}
	for _, k := range keys.PublicKeys {
		if k.KeyIdentifier != id || id == "" {
			continue
		}
		block, _ := pem.Decode([]byte(k.Key))
		if block == nil {
			return nil, errors.New("a public key is not PEM")
		}
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if ec, is := public.(*ecdsa.PublicKey); is && err == nil {
			return ec, nil
		}
		return nil, errors.New("a public key is not of ECDSA")
	}
	return nil, &RefusedError{"it is signed with a key that is not known"}
}

// Read returns what a delivery reports that was verified; nothing, where it is about something else. Of GitHub it
// fetches the alert that the delivery names, since only the alert has the secret; where that fails the error is
// *FetchError. A body that cannot be read is a *FormatError.
func (w Webhook) Read(ctx context.Context, h http.Header, body []byte, fetch Fetch) ([]Reported, error) {
	if err := strict(body); err != nil {
		return nil, &FormatError{w.Type, "the body", err.Error()}
	}
	read := map[string]func(context.Context, http.Header, []byte, Fetch) ([]Reported, error){
		GitHub: w.readGitHub, GitHubPartner: w.readPartner, GitGuardian: w.readGitGuardian,
	}[w.Type]
	all, err := read(ctx, h, body, fetch)
	var fe *FormatError
	if errors.As(err, &fe) && fe.Format == "" {
		fe.Format, fe.Where = w.Type, "the body"
	}
	return all, err
}

// readPartner reads the list of the partner program: token, type, url, source.
func (w Webhook) readPartner(_ context.Context, _ http.Header, body []byte, _ Fetch) (all []Reported, err error) {
	var list []struct{ Token, Type, URL, Source string }
	if err := decode(body, &list); err != nil {
		return nil, err
	}
	for _, f := range list {
		rep := Reported{Sighting: finding.Sighting{
			How: GitHubPartner, What: "GitHub found it in public as " + f.Type, Link: link(f.URL), Public: true,
		}}
		rep.line(f.Token)
		all = append(all, rep)
	}
	return all, nil
}

var repositoryName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$`)

// readGitHub reads the event secret_scanning_alert, and then the alert, whose secret is not in the event.
func (w Webhook) readGitHub(ctx context.Context, h http.Header, body []byte, fetch Fetch) ([]Reported, error) {
	event := h.Get("X-Github-Event")
	if event != "secret_scanning_alert" && event != "secret_scanning_alert_location" {
		return nil, nil // ping, and what else was subscribed to
	}
	var e struct {
		Action string
		Alert  struct {
			Number                int
			SecretType            string `json:"secret_type"`
			SecretTypeDisplayName string `json:"secret_type_display_name"`
			Validity              string
			PubliclyLeaked        bool   `json:"publicly_leaked"`
			HTMLURL               string `json:"html_url"`
			CreatedAt             string `json:"created_at"`
		}
		Location   *alertLocation // of secret_scanning_alert_location: another place of an alert
		Repository struct {
			FullName string `json:"full_name"`
			Private  *bool
		}
	}
	if err := decode(body, &e); err != nil {
		return nil, err
	}
	if !repositoryName.MatchString(e.Repository.FullName) || e.Alert.Number <= 0 || strings.Contains(e.Repository.FullName, "..") {
		return nil, &FormatError{GitHub, "repository.full_name, alert.number", "they name no alert"}
	}
	if e.Action == "resolved" {
		return nil, nil // by people there: the proof is ours to make
	}
	at := fmt.Sprintf("%s/repos/%s/secret-scanning/alerts/%d", strings.TrimSuffix(w.api(), "/"), e.Repository.FullName, e.Alert.Number)
	var a struct {
		Secret string
	}
	alert, err := fetch(ctx, at, true)
	if err == nil {
		if broken := json.Unmarshal(alert, &a); broken != nil { // a proxy's page
			err = errors.New(jsonError(broken))
		}
	}
	if err != nil {
		why := fmt.Sprintf("the alert %d of %s could not be fetched: %v", e.Alert.Number, e.Repository.FullName, err)
		return nil, &FetchError{secret.Scrubber{}.Clean(why, 300)}
	}
	name := e.Alert.SecretTypeDisplayName
	if name == "" {
		name = e.Alert.SecretType
	}
	rep := Reported{Sighting: finding.Sighting{
		How: GitHub, What: "GitHub's secret scanning found it as " + name, Source: e.Repository.FullName,
		Link: link(e.Alert.HTMLURL), At: date(e.Alert.CreatedAt),
		Public: e.Alert.PubliclyLeaked || e.Action == "publicly_leaked" || e.Repository.Private != nil && !*e.Repository.Private,
	}}
	if e.Alert.Validity == "active" {
		rep.What += " and says that it works"
	}
	rep.line(a.Secret)
	if e.Location != nil {
		e.Location.tell(&rep)
		return []Reported{rep}, nil
	}
	w.firstLocation(ctx, at, fetch, &rep)
	return []Reported{rep}, nil
}

func (w Webhook) api() string {
	if w.API == "" {
		return "https://api.github.com"
	}
	return w.API
}

// firstLocation adds where it stands. That it cannot be had is no reason to lose the alert.
func (w Webhook) firstLocation(ctx context.Context, alert string, fetch Fetch, rep *Reported) {
	body, err := fetch(ctx, alert+"/locations?per_page=1", true)
	var list []alertLocation
	if err != nil || json.Unmarshal(body, &list) != nil || len(list) == 0 {
		return
	}
	list[0].tell(rep)
}

// alertLocation is a place of an alert: in a commit, or in an issue, a pull request, a discussion or a wiki (docs.github.com, "Secret
// scanning", locations).
type alertLocation struct {
	Type    string
	Details map[string]any
}

func (l alertLocation) tell(rep *Reported) {
	text := func(key string) string { s, _ := l.Details[key].(string); return s }
	rep.Path, rep.Commit = text("path"), text("commit_sha")
	if line, is := l.Details["start_line"].(float64); is {
		rep.Line = int(line)
	}
	if rep.Path != "" || l.Type == "" {
		return
	}
	rep.Path = strings.ReplaceAll(l.Type, "_", " ")
	for key := range l.Details { // issue_title_url, pull_request_comment_url and so on: one of them is there
		if at := link(text(key)); strings.HasSuffix(key, "_url") && at != "" {
			rep.Link = at
		}
	}
}

// readGitGuardian reads incidents and occurrences. They have no secret, but its HasMySecretLeaked hash; and
// honeytokens, which are none of ours.
func (w Webhook) readGitGuardian(_ context.Context, _ http.Header, body []byte, _ Fetch) ([]Reported, error) {
	var e struct {
		Action     string
		Incident   *gitGuardianIncident
		Honeytoken *struct{ Name string }
	}
	if err := decode(body, &e); err != nil {
		return nil, err
	}
	if e.Incident == nil || strings.HasSuffix(e.Action, "resolved") || strings.HasSuffix(e.Action, "ignored") {
		return nil, nil
	}
	i := e.Incident
	name := i.Detector.DisplayName
	if name == "" {
		name = i.Detector.Name
	}
	rep := Reported{
		HMSL:     strings.ToLower(i.HMSL),
		Sighting: finding.Sighting{How: GitGuardian, What: "GitGuardian found it as " + name, Link: link(i.URL), At: date(i.Date)},
	}
	for _, o := range append(i.Occurrences, i.Occurrence) {
		if o != nil && rep.Path == "" {
			rep.Path, rep.Commit, rep.Source = o.Filepath, o.SHA, o.Source.FullName
			rep.Public = o.Presence == "present" && o.Source.Visibility == "public"
		}
	}
	if i.Validity == "valid" {
		rep.What += " and says that it works"
	}
	return []Reported{rep}, nil
}

type gitGuardianIncident struct {
	Date     string
	Detector struct {
		Name        string
		DisplayName string `json:"display_name"`
	}
	HMSL        string `json:"hmsl_hash"`
	URL         string `json:"gitguardian_url"`
	Validity    string
	Occurrence  *gitGuardianOccurrence
	Occurrences []*gitGuardianOccurrence
}

type gitGuardianOccurrence struct {
	Filepath, SHA, Presence string
	Source                  struct {
		FullName   string `json:"full_name"`
		Visibility string
	}
}

// link is text, if it is a link to a page.
func link(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(text) > 400 {
		return ""
	}
	return u.String()
}
