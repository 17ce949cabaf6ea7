package config

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

// The names of the receivers that slack: makes.
const (
	slackReceiver   = "slack"
	webhookReceiver = "webhook"
)

func (b *builder) notifications(c *Config, f File) {
	c.NotificationsProxy = outbound.Environment
	c.Notify = notify.Policy{
		GroupWait: 10 * time.Second, GroupInterval: 5 * time.Minute, RemindEvery: 4 * time.Hour, RemindLow: 24 * time.Hour,
		Zone: c.Zone, Digest: c.Digest != "",
	}
	c.AckTimeout = 24 * time.Hour
	if f.ExternalURL != "" {
		c.ExternalURL = strings.TrimSuffix(f.ExternalURL, "/")
		b.httpURL("external_url", f.ExternalURL)
	}
	b.slack(c, f.Slack)
	if !c.Slack.Token.IsZero() {
		c.Notify.Channels = []string{slackReceiver}
	}
	for i, in := range f.Receivers {
		b.receiver(c, fmt.Sprintf("receivers.%d", i), in)
	}
	for name, p := range f.Owners {
		r := b.tell(c, "owners."+name, p)
		if c.Notify.Owners == nil {
			c.Notify.Owners = map[string]notify.Owner{}
		}
		c.Notify.Owners[name] = notify.Owner{Receivers: r.Receivers, Place: r.Place}
	}
	for i, in := range f.Routes {
		c.Notify.Routes = append(c.Notify.Routes, b.route(c, fmt.Sprintf("routes.%d", i), in))
	}
	b.notify(c, f.Notify)
	for i, in := range f.Maintenance {
		c.Notify.Maintenance = append(c.Notify.Maintenance, b.maintenance(c, fmt.Sprintf("maintenance.%d", i), in))
	}
}

func (b *builder) slack(c *Config, s *SlackIn) {
	if s == nil {
		return
	}
	c.Slack = Slack{
		Channel: s.Channel,
		APIURL:  s.APIURL,
		Allow:   s.Allow,
		Token: b.reference(
			"slack.token",
			s.Token,
		),
		AppToken: b.reference("slack.app_token", s.AppToken),
		Webhook:  b.reference("slack.webhook_url", s.WebhookURL),
	}
	switch {
	case s.Token != "" && s.Channel == "":
		b.fail("slack.channel", `"#channel" in quotes, or the channel's id`, "is missing")
	case s.Token == "" && s.Channel != "" && s.WebhookURL == "":
		b.warn("slack.channel", "token: env:SLACK_BOT_TOKEN", "without slack.token nothing is sent to it")
	}
	b.place("slack", s.Channel, "")
	if s.APIURL != "" {
		u, err := url.Parse(s.APIURL)
		if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && Loopback(u.Hostname())) {
			b.fail("slack.api_url", "https://…/", "not a URL with https")
		} else if !strings.HasSuffix(s.APIURL, "/") {
			c.Slack.APIURL += "/"
		}
	}
	if s.AppToken == "" {
		return
	}
	if s.Token == "" {
		b.fail("slack.app_token", "token: env:SLACK_BOT_TOKEN", "buttons need slack.token as well")
	}
	if len(s.Allow) == 0 {
		b.fail(
			"slack.app_token",
			`allow: [U0123ABCD, S0123ABCD], or allow: ["*"] for everybody`,
			"nobody may press a button: slack.allow is empty",
		)
	}
	for i, id := range s.Allow {
		if !actorID.MatchString(id) {
			b.fail(
				fmt.Sprintf("slack.allow.%d", i),
				`the id of a user (U…) or of a user group (S…), from their profile's menu, or "*"`,
				"%q is not an id",
				id,
			)
		}
	}
}

var (
	actorID = regexp.MustCompile(`^(\*|[UWS][A-Z0-9]{2,20})$`)
	channel = regexp.MustCompile(`^(#[^\s#<>]{1,80}|[CGD][A-Z0-9]{7,20})$`)
	mention = regexp.MustCompile(
		`^` + oneMention + `( ` + oneMention + `)*$`,
	)
)

const oneMention = `(<(!subteam\^S[A-Z0-9]{2,20}|@[UW][A-Z0-9]{2,20}|!here|!channel)>|[^\s<>@&*]{1,64}@[A-Za-z0-9.-]{3,190})`

func (b *builder) place(path, ch, who string) {
	if ch != "" && !channel.MatchString(ch) {
		b.fail(path+".channel", `"#channel" in quotes, or the channel's id`, "%q is not a channel", ch)
	}
	if who != "" && !mention.MatchString(who) {
		b.fail(
			path+".mention",
			`"<!subteam^S0123ABCD>" for a user group, "<@U0123ABCD>" or an e-mail address for a user, "<!here>"; several with spaces`,
			"%q mentions nobody",
			who,
		)
	}
}

// reference reads a reference that may be missing.
func (b *builder) reference(path, text string) secret.Reference {
	if text == "" {
		return secret.Reference{}
	}
	ref, err := secret.ParseReference(text)
	if err != nil {
		b.fail(path, "env:NAME, file:/path or another reference", "%v", err)
	} else if ref.Scheme() == secret.SchemeSealed {
		b.fail(path, "env:NAME, file:/path or another reference", "only secrets of credentials are sealed")
	}
	return ref
}

func (b *builder) httpURL(path, text string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		b.fail(path, "https://host or http://host, without a password in it", "not such a URL")
	}
}

// ReceiverNames lists the receivers that there are, in the order in which they are told: slack, webhook, then those
// of receivers:.
func (c *Config) ReceiverNames() []string {
	var names []string
	if !c.Slack.Token.IsZero() {
		names = append(names, slackReceiver)
	}
	if !c.Slack.Webhook.IsZero() {
		names = append(names, webhookReceiver)
	}
	for _, r := range c.Receivers {
		names = append(names, r.Name)
	}
	return names
}

func (b *builder) route(c *Config, path string, in RouteIn) notify.Route {
	r := b.tell(c, path, in.Tell)
	r.Providers, r.Owners, r.Labels, r.ToOwner, r.Continue = in.Provider, in.Owner, in.Labels, in.ToOwner, in.Continue
	known := []string{string(finding.Critical), string(finding.Warning), string(finding.Info)}
	for i, s := range in.Severity {
		b.known(fmt.Sprintf("%s.severity.%d", path, i), "severity", s, known)
		r.Severities = append(r.Severities, finding.Severity(s))
	}
	var kinds []string
	for _, k := range finding.Kinds() {
		kinds = append(kinds, string(k))
	}
	for i, k := range in.Kind {
		b.known(fmt.Sprintf("%s.kind.%d", path, i), "kind", k, kinds)
		r.Kinds = append(r.Kinds, finding.Kind(k))
	}
	for i, p := range in.Provider {
		b.known(fmt.Sprintf("%s.provider.%d", path, i), "provider", p, slices.Collect(maps.Keys(c.Providers)))
	}
	return r
}

func (b *builder) tell(c *Config, path string, in Tell) notify.Route {
	b.place(path, in.Channel, in.Mention)
	for i, name := range in.Receivers {
		b.known(fmt.Sprintf("%s.receivers.%d", path, i), "receiver", name, c.ReceiverNames())
	}
	if in.Channel != "" && len(in.Receivers) > 0 && c.Slack.Token.IsZero() {
		b.warn(path+".channel", "slack.token makes a receiver that has channels", "nobody is told there: no receiver has channels")
	}
	return notify.Route{Receivers: in.Receivers, Place: notify.Place{Channel: in.Channel, Mention: in.Mention}}
}

func (b *builder) known(path, what, name string, all []string) {
	if !slices.Contains(all, name) {
		b.fail(path, DidYouMean(name, all), "unknown %s %q", what, name)
	}
}

func (b *builder) notify(c *Config, in *NotificationsIn) {
	p := &c.Notify
	if !c.Slack.Token.IsZero() && !c.Slack.Webhook.IsZero() {
		p.Fallback = webhookReceiver
	}
	if in == nil {
		return
	}
	b.duration("notifications.group_wait", in.GroupWait, &p.GroupWait)
	b.duration("notifications.group_interval", in.GroupInterval, &p.GroupInterval)
	b.duration("notifications.remind_every", in.RemindEvery, &p.RemindEvery)
	b.duration("notifications.remind_warnings_every", in.RemindWarningsEvery, &p.RemindLow)
	b.duration("notifications.ack_timeout", in.AckTimeout, &c.AckTimeout)
	c.Policy.Early = in.Early
	if p.GroupWait > 10*time.Minute {
		b.fail(
			"notifications.group_wait", "10s is usual: every alert is kept back for so long",
			"%s is out of range: at most 10m", in.GroupWait,
		)
	}
	if d := p.RemindEvery; d > 0 && d < time.Minute {
		b.warn("notifications.remind_every", "4h is usual; 0s for none", "is less than a minute")
	}
	b.escalation(c, in)
	if in.Fallback != "" {
		b.known("notifications.fallback", "receiver", in.Fallback, c.ReceiverNames())
		p.Fallback = in.Fallback
	}
	switch why, fix := outbound.ProxyProblem(in.Proxy); {
	case in.Proxy == "none":
		c.NotificationsProxy = ""
	case why != "":
		b.fail("notifications.proxy", fix+", or none", "%s", why)
	case in.Proxy != "":
		c.NotificationsProxy = in.Proxy
	}
	for i, q := range in.QuietHours {
		p.Quiet = append(p.Quiet, b.quiet(fmt.Sprintf("notifications.quiet_hours.%d", i), q))
	}
	if in.Templates != "" {
		var err error
		if c.Templates, err = notify.LoadTemplates(in.Templates); err != nil {
			b.fail("notifications.templates", "docs/notifications.md says what they may hold", "%v", err)
		}
	}
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (b *builder) quiet(path string, in QuietIn) notify.Quiet {
	q := notify.Quiet{From: b.timeOfDay(path+".from", in.From, 0), To: b.timeOfDay(path+".to", in.To, 24*time.Hour)}
	for i, d := range in.Days {
		b.known(fmt.Sprintf("%s.days.%d", path, i), "day", d, weekdays)
		q.Days = append(q.Days, time.Weekday(slices.Index(weekdays, d)))
	}
	if in.From != "" && q.From == q.To {
		b.fail(path, "leave both out for the whole day", "from and to are the same")
	}
	return q
}

func (b *builder) timeOfDay(path, text string, usual time.Duration) time.Duration {
	if text == "" {
		return usual
	}
	if text == "24:00" {
		return 24 * time.Hour
	}
	t, err := time.Parse("15:04", text)
	if err != nil {
		b.fail(path, `in quotes: "22:00"`, "%q is not a time of the day", text)
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
}

const longestMaintenance = 7 * 24 * time.Hour

func (b *builder) maintenance(c *Config, path string, in MaintenanceIn) notify.Maintenance {
	m := notify.Maintenance{Provider: in.Provider}
	b.known(path+".provider", "provider", in.Provider, slices.Collect(maps.Keys(c.Providers)))
	switch {
	case in.Schedule != "" && in.From == "" && in.To == "":
		b.cron(path+".schedule", in.Schedule)
		b.duration(path+".for", in.For, &m.For)
		switch {
		case in.For == "":
			b.fail(path+".for", "such as 4h", "is missing: how long it lasts, at most 7d")
		case m.For <= 0 || m.For > longestMaintenance:
			b.fail(path+".for", "such as 4h", "%s is out of range: above 0s, to 7d", in.For)
		}
		if s, err := credential.ParseSchedule(in.Schedule, c.Zone); err == nil {
			m.Begins = s.Next
			if s.Interval() < time.Hour {
				b.fail(path+".schedule", `such as "0 2 * * 6"`, "begins more often than every hour")
			}
		}
	case in.From != "" && in.To != "" && in.Schedule == "" && in.For == "":
		m.From, m.To = b.instant(path+".from", in.From), b.instant(path+".to", in.To)
		if !m.From.IsZero() && !m.To.IsZero() && !m.To.After(m.From) {
			b.fail(path+".to", "", "is not after from")
		}
	default:
		b.fail(path, "from and to for once, or schedule and for", "it is not clear when this is")
	}
	return m
}

func (b *builder) instant(path, text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		b.fail(path, "with a zone: 2026-12-01T22:00:00Z", "%q is not a time", text)
	}
	return t
}

// escalation reads the steps: escalate_after and escalate_to are the first, escalation has more.
func (b *builder) escalation(c *Config, in *NotificationsIn) {
	var first time.Duration
	b.duration("notifications.escalate_after", in.EscalateAfter, &first)
	switch {
	case in.EscalateTo != nil:
		if first == 0 {
			b.fail("notifications.escalate_to", "escalate_after: 30m", "is never told: escalate_after is missing")
		}
		c.Notify.Escalation = []notify.Step{{After: first, To: b.tell(c, "notifications.escalate_to", *in.EscalateTo)}}
	case first > 0:
		b.fail(
			"notifications.escalate_after",
			`escalate_to: {channel: "#on-call", mention: "<!subteam^S0123ABCD>"}`,
			"nobody is named in escalate_to",
		)
	}
	for i, step := range in.Escalation {
		path := fmt.Sprintf("notifications.escalation.%d", i)
		var after time.Duration
		if b.duration(path+".after", step.After, &after); after <= 0 || after <= first {
			b.fail(path+".after", "steps come later and later after the message was posted", "is not later than the step before")
		}
		first = after
		c.Notify.Escalation = append(c.Notify.Escalation, notify.Step{After: after, To: b.tell(c, path, step.Tell)})
	}
}
