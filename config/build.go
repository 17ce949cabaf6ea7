package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/verdict"
)

// builder makes a Config of a tree and collects what is wrong on the way.
type builder struct {
	file     string // whose text it is
	tree     *tree
	problems []problem
	wrong    map[string]bool // paths that there is a problem of
	warnings []warning
	causes   map[cause]int // places in warnings
}

func newBuilder(file string, t *tree, problems []problem) *builder {
	b := &builder{file: file, tree: t, problems: problems, wrong: map[string]bool{}, causes: map[cause]int{}}
	for _, p := range problems {
		b.wrong[p.path] = true
	}
	return b
}

func (b *builder) fail(path, hint, format string, args ...any) {
	if b.wrong[path] {
		return // one error a place
	}
	b.wrong[path] = true
	b.problems = append(
		b.problems,
		problem{path: path, at: b.tree.place(path), message: b.tree.context(path) + fmt.Sprintf(format, args...), hint: hint},
	)
}

func (b *builder) build(many []CredentialIn) *Config {
	var f File
	text, err := json.Marshal(b.tree.root)
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		b.fail("", "", "the file cannot be read: %v", err)
		return nil
	}
	c := &Config{
		DataDir: f.DataDir, Listen: f.Listen, WebConfig: f.WebConfig, Policy: verdict.DefaultPolicy(),
		Defaults: Defaults{"*/15 * * * *", 90 * day, []time.Duration{30 * day, 14 * day, 7 * day, day}},
		Metrics:  Metrics{PerCredential: true, Limit: 1000}, Keep: 13,
	}
	if c.DataDir == "" {
		c.DataDir = DefaultDataDir()
	}
	if !filepath.IsAbs(c.DataDir) {
		whole, _ := filepath.Abs(c.DataDir)
		b.fail("data_dir", "the whole path; from here it would be "+whole, "%q depends on where keyrounds is started", c.DataDir)
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:8181"
	}
	b.zone(c, f.Timezone)
	b.storage(c, f)
	b.access(c, f)
	b.web(c, f)
	b.policy(c, f.Verdict)
	b.defaults(c, f.Defaults)
	b.schedules(c, f)
	b.observability(c, f)
	b.providers(c, f.Providers)
	b.credentials(c, append(f.Credentials, many...))
	b.feeds(c, f)
	b.leaks(c, f.Leaks)
	b.notifications(c, f)
	return c
}

// DefaultDataDir is /var/lib/keyrounds for root and for users without a home, else ~/.local/share/keyrounds.
func DefaultDataDir() string {
	if home, err := os.UserHomeDir(); err == nil && os.Geteuid() != 0 {
		return filepath.Join(home, ".local", "share", "keyrounds")
	}
	return "/var/lib/keyrounds"
}

func (b *builder) zone(c *Config, name string) {
	var err error
	if name == "Local" {
		err = fmt.Errorf("names no zone")
	} else {
		c.Zone, err = time.LoadLocation(name) // "" is UTC
	}
	if err != nil {
		c.Zone = time.UTC
		b.fail("timezone", "an IANA name such as Europe/Berlin or UTC", "unknown time zone %q", name)
	}
}

func (b *builder) storage(c *Config, f File) {
	c.ExecEnv = f.ExecEnv
	for i, name := range f.ExecEnv {
		if !variable.MatchString(name) {
			b.fail(
				fmt.Sprintf("exec_env.%d", i),
				"a name such as VAULT_ADDR; its value stays in the environment",
				"not the name of a variable",
			)
		}
	}
	if f.Database != nil {
		c.Database = b.address("database.url", f.Database.URL)
		if f.Database.AdminURL != "" {
			c.AdminDatabase = b.address("database.admin_url", f.Database.AdminURL)
		}
	}
	if f.Sealing != nil && f.Sealing.KMS != nil {
		if t := f.Sealing.KMS.Transit; t == nil || t.Key == "" {
			b.fail("sealing.kms", "transit: {key: keyrounds}", "transit.key is missing")
		} else {
			c.SealingKMS = Transit{t.Key, t.Mount}
		}
	}
	if f.Sealing != nil && (f.Sealing.Key != "" || f.Sealing.KMS == nil) {
		ref, err := secret.ParseReference(f.Sealing.Key)
		if err != nil || ref.Scheme() != secret.SchemeFile {
			b.fail("sealing.key", "file:/path", "the sealing key is named as a file")
		} else {
			c.SealingKey = strings.TrimPrefix(ref.String(), "file:")
		}
	}
	b.vault(c, f.Vault)
	if f.Retention != "" {
		months, err := parseMonths(f.Retention)
		if err != nil {
			b.fail("retention", "months or years: 13mo, 2y", "%v", err)
		}
		c.Keep = months
	}
}

func (b *builder) address(path, text string) Address {
	if ref, err := secret.ParseReference(text); err == nil {
		if ref.Scheme() == secret.SchemeSealed {
			b.fail(path, "env:DATABASE_URL or file:/path", "the database cannot hold its own address")
		}
		return Address{Key: path, Ref: ref}
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		b.fail(path, "env:DATABASE_URL, or a postgres:// URL without a password", "neither a reference nor a postgres:// URL")
		return Address{}
	}
	if _, has := u.User.Password(); has || u.Query().Has("password") {
		b.fail(path, "put the whole URL in a variable or file and name that: env:DATABASE_URL", "a password does not belong in this file")
	}
	return Address{Key: path, Literal: text}
}

var months = regexp.MustCompile(`^(\d{1,3})(mo|y)$`)

func parseMonths(s string) (int, error) {
	m := months.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is not a number of months", s)
	}
	n, _ := strconv.Atoi(m[1])
	if m[2] == "y" {
		n *= 12
	}
	if n < 1 {
		return 0, fmt.Errorf("%q is out of range: 1mo or more", s)
	}
	return n, nil
}

func (b *builder) web(c *Config, f File) {
	for i, name := range f.Hosts {
		name = plainHost(name)
		if name == "" || strings.ContainsAny(name, ":/ *[]") && !isAddress(name) {
			b.fail(fmt.Sprintf("hosts.%d", i), "keyrounds.example.com", "a name without scheme, port and path is expected")
		}
		c.Hosts = append(c.Hosts, name)
	}
	for i, text := range f.TrustedProxies {
		p, err := parsePrefix(text)
		if err != nil {
			b.fail(fmt.Sprintf("trusted_proxies.%d", i), "10.0.0.0/8, 192.0.2.7 or fd00::/8", "neither an address nor a network")
		}
		c.TrustedProxies = append(c.TrustedProxies, p)
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
		b.fail("listen", "host:port, such as 127.0.0.1:8181", "not an address")
		return
	}
	var file WebFile
	if c.WebConfig != "" {
		if file, err = ReadWeb(c.WebConfig); err == nil && !file.SignIn() {
			err = ErrNoUsers
		}
		if err != nil && !Loopback(host) && !c.Access.SignIn() {
			b.fail("web_config", "basic_auth_users with bcrypt hashes, as for Prometheus exporters", "%v", err)
		}
	} else if !Loopback(host) && !c.Access.SignIn() {
		b.fail("listen", "listen on 127.0.0.1, or give access: {people: true}, or a web_config with basic_auth_users",
			"an address that others reach needs sign-in")
	}
	if c.Access.SignIn() && !Loopback(host) && !file.Encrypts() && !strings.HasPrefix(f.ExternalURL, "https://") {
		b.warn("listen", "tls_server_config in web_config, or a proxy with TLS in front and external_url: https://…",
			"over plain http passwords are readable on the way, and browsers keep no session of another machine")
	}
}

// Answers reports whether the pages answer to the host of a request (its Host header without the port) where nobody signs in.
func (c *Config) Answers(host string) bool {
	host = plainHost(host)
	if Loopback(host) || slices.Contains(c.Hosts, host) {
		return true
	}
	u, err := url.Parse(c.ExternalURL)
	return err == nil && host != "" && plainHost(u.Hostname()) == host
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// plainHost is a host as it is compared: in lower case, without the brackets of an address and the dot of the root.
func plainHost(host string) string {
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

// Loopback reports whether host is this machine only: localhost, or an address of 127.0.0.0/8 or ::1. It looks up no
// names.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

func (b *builder) duration(path, text string, into *time.Duration) {
	if text == "" {
		return
	}
	d, err := credential.ParseDuration(text)
	if err != nil {
		b.fail(path, "", "%v", err)
		return
	}
	*into = d
}

func (b *builder) policy(c *Config, v *VerdictIn) {
	if v == nil {
		return
	}
	p := &c.Policy
	if v.Confirm != nil {
		if p.Confirm = b.refusalTimes("verdict.confirm", v.Confirm); len(p.Confirm) == 0 {
			b.fail("verdict.confirm", "at least one, such as [2m, 10m]", "a refusal that nothing confirms would page at once")
		}
	}
	if v.Again != nil {
		if p.Again = b.refusalTimes("verdict.again", v.Again); len(p.Again) == 0 || p.Again[0] <= 0 {
			b.fail("verdict.again", "at least one above zero, such as [15m, 1h]", "what works again would never be seen to")
		}
	}
	if v.RefusalsPerHour != nil {
		if p.RefusalsPerHour = *v.RefusalsPerHour; p.RefusalsPerHour < 0 || p.RefusalsPerHour > verdict.MostRefusals {
			b.fail("verdict.refusals_per_hour", "0 for no cap", "%d is out of range: 0 to %d", p.RefusalsPerHour, verdict.MostRefusals)
		}
	}
	b.duration("verdict.unverifiable_after", v.UnverifiableAfter, &p.UnverifiableAfter)
	b.duration("verdict.provider_down_after", v.ProviderDownAfter, &p.ProviderDownAfter)
	b.duration("verdict.grace", v.Grace, &p.Grace)
	if in := v.Incident; in != nil {
		b.duration("verdict.incident.within", in.Within, &p.Incident.Within)
		if in.Count != 0 {
			p.Incident.Count = in.Count
		}
		if in.Share != 0 {
			p.Incident.Share = in.Share
		}
		if p.Incident.Count < 1 {
			b.fail("verdict.incident.count", "", "%d is out of range: 1 or more", p.Incident.Count)
		}
		if p.Incident.Share <= 0 || p.Incident.Share > 1 {
			b.fail("verdict.incident.share", "such as 0.3", "%v is out of range: above 0, to 1", p.Incident.Share)
		}
	}
}

// refusalTimes reads times that are counted from the first refusal on.
func (b *builder) refusalTimes(path string, texts []string) (times []time.Duration) {
	for i, text := range texts {
		var d time.Duration
		path := fmt.Sprintf("%s.%d", path, i)
		b.duration(path, text, &d)
		if i > 0 && d <= times[i-1] {
			b.fail(path, "times from the first refusal on, each later than the one before", "not later than the one before")
		}
		times = append(times, d)
	}
	return times
}

const day = 24 * time.Hour

func (b *builder) defaults(c *Config, d *DefaultsIn) {
	if d == nil {
		return
	}
	b.duration("defaults.unused_after", d.UnusedAfter, &c.Defaults.UnusedAfter)
	if d.Schedule != "" {
		b.cron("defaults.schedule", d.Schedule)
		c.Defaults.Schedule = d.Schedule
	}
	if d.ExpiringBefore == nil {
		return
	}
	c.Defaults.ExpiringBefore = nil
	for i, text := range d.ExpiringBefore {
		var before time.Duration
		path := fmt.Sprintf("defaults.expiring_before.%d", i)
		b.duration(path, text, &before)
		if before <= 0 || slices.Contains(c.Defaults.ExpiringBefore, before) {
			b.fail(path, "times such as [30d, 14d, 7d, 1d], each once", "%q is no time before an end, or given twice", text)
		}
		c.Defaults.ExpiringBefore = append(c.Defaults.ExpiringBefore, before)
	}
	slices.Sort(c.Defaults.ExpiringBefore)
	slices.Reverse(c.Defaults.ExpiringBefore)
}

func (b *builder) cron(path, expr string) {
	if _, err := credential.ParseSchedule(expr, time.UTC); err != nil {
		b.fail(path, credential.ScheduleHint, "%v", err)
	}
}

// schedules reads those of what is made at certain times.
func (b *builder) schedules(c *Config, f File) {
	c.Digest = b.orOff("digest", f.Digest, "0 9 * * 1-5")
	given := ""
	if f.Reports != nil {
		given = f.Reports.Unused
	}
	c.Reports.Unused = b.orOff("reports.unused", given, "0 8 1 * *")
}

// orOff reads a schedule that can be switched off.
func (b *builder) orOff(path, given, usual string) string {
	switch given {
	case "":
		return usual
	case "off":
		return ""
	}
	b.cron(path, given)
	return given
}

func (b *builder) credentials(c *Config, in []CredentialIn) {
	names, clients := make(map[string]bool, len(in)), make(map[string]string, len(in))
	c.Credentials = make([]credential.Credential, 0, len(in))
	now := time.Now()
	for i, ci := range in {
		path := fmt.Sprintf("credentials.%d", i)
		cred, problems := ci.Credential(c.Defaults)
		for _, p := range append(problems, CheckProvider(cred, c.Providers)...) {
			b.fail(path+"."+p.Field, p.Hint, "%s", p.Message)
		}
		if names[cred.Name] && cred.Name != "" {
			b.fail(path+".name", "each credential has a name of its own", "the name %q is given twice", cred.Name)
		}
		names[cred.Name] = true
		for _, p := range Doubts(cred, clients[Client(cred)], now) {
			b.warn(path+"."+p.Field, p.Hint, "%s", p.Message)
		}
		clients[Client(cred)] = cred.Name
		s, err := credential.ParseSchedule(cred.Schedule, time.UTC)
		if err == nil && s.Interval() < c.Providers[cred.Provider].MinInterval && ci.Schedule != "" {
			b.warn(path+".schedule", "min_interval of the provider says how often", "is checked every %s at most, not every %s",
				credential.FormatDuration(c.Providers[cred.Provider].MinInterval), credential.FormatDuration(s.Interval()))
		}
		if secret.LooseMode(cred.Secret) {
			b.warn(path+".secret", "chmod o-r it", "every user of this machine can read this file")
		}
		if secret.LooseMode(cred.KeyPassphrase) {
			b.warn(path+".key_passphrase", "chmod o-r it", "every user of this machine can read this file")
		}
		c.Credentials = append(c.Credentials, cred)
	}
	for name, p := range c.Providers {
		b.load(name, p, c)
	}
}

// CheckProvider returns a problem where c's provider is none of providers, with the closest name as its hint, or where c
// does not fit its method; nil where its name is not valid, which Validate says.
func CheckProvider(c credential.Credential, providers map[string]checker.Provider) []credential.Problem {
	var ps []credential.Problem
	p, ok := providers[c.Provider]
	if c.Subject == "" && (!ok || p.NeedsClientID()) {
		ps = append(ps, credential.Problem{Field: "client_id", Message: "is missing", Hint: credential.NoClientID.Hint})
	}
	if ok && !c.KeyPassphrase.IsZero() && !p.TakesKey() {
		ps = append(ps, credential.Problem{
			Field:   "key_passphrase",
			Message: fmt.Sprintf("no key is used by %s, which %q has", cmp.Or(string(p.AuthMethod), string(p.Kind)), p.Name),
			Hint:    "take it out, or mend auth_method",
		})
	}
	if !ok && credential.ValidName(c.Provider) {
		ps = append(ps, credential.Problem{
			Field:   "provider",
			Message: fmt.Sprintf("unknown provider %q", c.Provider),
			Hint:    DidYouMean(c.Provider, slices.Collect(maps.Keys(providers))),
		})
	}
	return ps
}
