// Package config reads the configuration file: strictly, with every problem at once, each with its
// place in the file.
//
// Reading it opens no database and resolves no secret; it does read the templates and TLS files that it names.
package config

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage/feed"
	"github.com/keyrounds/keyrounds/vault"
	"github.com/keyrounds/keyrounds/verdict"
)

// Config is a valid configuration, with the defaults filled in. It is shared by those who use it: do not change it.
type Config struct {
	DataDir  string
	Database Address // zero: the private Postgres in DataDir
	// AdminDatabase is the same database as the owner of its tables; zero: Database is.
	AdminDatabase Address
	SealingKey    string // a file; "": made in DataDir
	SealingKMS    Transit
	Vault         vault.Settings // without what the environment says; Address "": only that
	Listen        string
	WebConfig     string // exporter-toolkit's file for TLS and sign-in
	Access        Access
	Hosts         []string // in lower case; beside loopback and ExternalURL
	ExecEnv       []string // what commands of exec: references see of our environment
	// TrustedProxies are believed whom a request came from.
	TrustedProxies []netip.Prefix
	Providers      map[string]checker.Provider // complete
	Credentials    []credential.Credential     // those of the file
	Defaults       Defaults
	Zone           *time.Location
	Policy         verdict.Policy
	AckTimeout     time.Duration // how long an acknowledgement of what is still open holds; 0: for ever
	ExternalURL    string        // "": no links
	Slack          Slack
	Receivers      []Receiver
	Notify         notify.Policy
	Templates      *notify.Templates // nil: keyrounds' own words
	// NotificationsProxy is outbound.Policy.Proxy of receivers and of the heartbeat.
	NotificationsProxy string
	Feeds              []Feed
	Leaks              Leaks
	Egress             []netip.Addr // that providers see our own checks from
	Reports            Reports
	Digest             string // cron, in Zone; "": none, low severities are told alone
	Metrics            Metrics
	LogLevel           slog.Level
	DebugListen        string // loopback; empty: none
	Heartbeat          Heartbeat
	Keep               int // months of results
	Warnings           []Problem
}

// Transit is a key of Vault that encrypts the file of the sealing key. The zero value: nothing does.
type Transit struct{ Key, Mount string }

// Defaults are for credentials that say nothing else, also those that a command adds.
type Defaults struct {
	Schedule    string
	UnusedAfter time.Duration
	// ExpiringBefore are the times before the end of a credential at which people are told, the longest first.
	ExpiringBefore []time.Duration
}

// Feed is a source of usage events, with how its log API or its pushes are authenticated. Both zero: not at all.
type Feed struct {
	feed.Feed
	Token      secret.Reference // of its log API, or of those who push to it
	Credential string           // instead: the registered credential whose token asks its log API
}

// Reports says when reports are made; by schedules.
type Reports struct {
	Unused string // cron, in Zone; "": never
}

// Slack says where findings are told. The zero value: nowhere.
type Slack struct {
	Token    secret.Reference
	Channel  string
	AppToken secret.Reference // zero: no buttons
	Allow    []string         // ids of users and user groups that may act, or *
	APIURL   string           // "": Slack's own
	Webhook  secret.Reference // of the receiver webhook; zero: there is none
}

// Receiver is one beside Slack. What is of another type is zero.
type Receiver struct {
	Name     string
	Type     string           // Shoutrrr or another of the types below
	URL      secret.Reference // of Shoutrrr and Teams
	Base     string           // of the others
	Token    secret.Reference // of Alertmanager; zero: none
	Username string           // of Alertmanager and Mail; "": none
	Password secret.Reference // likewise
	Secret   secret.Reference // of Webhook: events are signed by it
	Key      secret.Reference // of PagerDuty and Opsgenie
	From     string           // of Mail
	To       []string         // likewise
	Plain    bool             // likewise: without TLS
}

// KeyName is the key of the configuration that Key is of.
func (r Receiver) KeyName() string {
	if r.Type == PagerDuty {
		return "routing_key"
	}
	return "api_key"
}

// The types of receivers.
const (
	Shoutrrr     = "shoutrrr"
	Alertmanager = "alertmanager"
	Webhook      = "webhook"
	Teams        = "teams"
	PagerDuty    = "pagerduty"
	Opsgenie     = "opsgenie"
	Mail         = "mail"
)

// Address is a database URL: a reference, or the URL itself where it has no password in it.
type Address struct {
	Key     string // of the configuration
	Ref     secret.Reference
	Literal string
}

// IsZero reports whether no address is given, which means the private Postgres.
func (a Address) IsZero() bool { return a == Address{} }

// Resolve returns the URL, read anew at each call. It may hold a password: do not show it. The error wraps
// secret.ErrUnreadable.
func (a Address) Resolve(ctx context.Context) (string, error) {
	if a.Literal != "" {
		return a.Literal, nil
	}
	v, err := secret.Resolve(ctx, a.Ref)
	if err != nil {
		return "", fmt.Errorf("%s: %w", a.Key, err)
	}
	return v.Reveal(), nil
}

const maxFile = 64 << 20

// Load reads and checks a file of at most 64 MiB. Problems in it come as *Errors, all of them; what does not stop it
// is in Config.Warnings. Any other error says that the file cannot be read. It also reads the templates and TLS files
// that the configuration names.
func Load(path string) (*Config, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// LoadSettings is Load for those who need no credentials of the file: a long list of them is passed over, with what may be
// wrong in it, and Credentials need not have any.
func LoadSettings(path string) (*Config, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return parse(path, text, func(text []byte, _ takeItem) (*tree, []problem) { return readTree(text, nil) })
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	var b bytes.Buffer
	if info, err := f.Stat(); err == nil {
		b.Grow(int(min(info.Size(), maxFile)) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(f, maxFile+1)); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if b.Len() > maxFile {
		return nil, fmt.Errorf("configuration: %s is larger than %d MiB", path, maxFile>>20)
	}
	return b.Bytes(), nil
}

// Parse checks the text of a configuration file, as Load does; name is for messages. Its errors are all *Errors.
func Parse(name string, text []byte) (*Config, error) { return parse(name, text, readTree) }

func parse(name string, text []byte, read func([]byte, takeItem) (*tree, []problem)) (*Config, error) {
	var in entries
	t, problems := read(text, in.take)
	if len(problems) == 0 {
		problems = append(append(t.doubles, validate(t)...), in.problems...)
		b := newBuilder(name, t, problems)
		c := b.build(in.all)
		if len(b.problems) == 0 {
			c.Warnings = locate(name, text, b.warned())
			return c, nil
		}
		problems = b.problems
	}
	return nil, &Errors{locate(name, text, problems)}
}
