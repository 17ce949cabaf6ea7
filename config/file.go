package config

// File is the configuration file as it is written. The JSON schema is made of it, so that the
// schema, the decoder and `config schema` never differ.
type File struct {
	DataDir     string                `json:"data_dir,omitempty" jsonschema_description:"Directory for the private Postgres and the sealing key. Default /var/lib/keyrounds as root, else ~/.local/share/keyrounds."`
	Database    *DatabaseSection      `json:"database,omitempty" jsonschema_description:"Absent: a private Postgres in data_dir."`
	Sealing     *SealingSection       `json:"sealing,omitempty" jsonschema_description:"Key that seals secrets in the database. Absent: made in data_dir."`
	Listen      string                `json:"listen,omitempty" jsonschema_description:"Address of the pages, /metrics, /healthz and /readyz. Default 127.0.0.1:8181; on any other than loopback web_config must ask for sign-in."`
	ExternalURL string                `json:"external_url,omitempty" jsonschema_description:"Where people reach the pages, for links in messages, such as https://keyrounds.example.com. Default: no links."`
	WebConfig   string                `json:"web_config,omitempty" jsonschema_description:"File with TLS and basic_auth_users, as for Prometheus exporters."`
	Providers   map[string]ProviderIn `json:"providers,omitempty" jsonschema_description:"Authorization servers by name."`
	Credentials []CredentialIn        `json:"credentials,omitempty" jsonschema_description:"Registered clients. One that leaves the file is retired."`
	Defaults    *DefaultsIn           `json:"defaults,omitempty" jsonschema_description:"For credentials that say nothing else."`
	Timezone    string                `json:"timezone,omitempty" jsonschema_description:"IANA zone of all schedules. Default UTC."`
	Verdict     *VerdictIn            `json:"verdict,omitempty" jsonschema_description:"From results to verdicts."`
	Slack       *SlackIn              `json:"slack,omitempty" jsonschema_description:"Where findings are told."`
	Metrics     *MetricsIn            `json:"metrics,omitempty" jsonschema_description:"What /metrics shows."`
	Log         *LogIn                `json:"log,omitempty" jsonschema_description:"What the daemon logs."`
	Debug       *DebugIn              `json:"debug,omitempty" jsonschema_description:"For those who look into the daemon itself."`
	Heartbeat   *HeartbeatIn          `json:"heartbeat,omitempty" jsonschema_description:"Tell another monitor that the rounds go on."`
	Receivers   []ReceiverIn          `json:"receivers,omitempty" jsonschema_description:"Receivers beside Slack."`
	Routes      []RouteIn             `json:"routes,omitempty" jsonschema_description:"Who is told of what: the first that fits decides. Default: every receiver is told of everything."`
	Owners      map[string]PlaceIn    `json:"owners,omitempty" jsonschema_description:"Where owners of credentials are told, for routes with to_owner."`
	Notify      *NotificationsIn      `json:"notifications,omitempty" jsonschema_description:"When and how findings are told."`
	Maintenance []MaintenanceIn       `json:"maintenance,omitempty" jsonschema_description:"Times in which a provider is worked on: what that can cause is told when it is over and still so."`
	Digest      string                `json:"digest,omitempty" jsonschema_description:"Cron of the digest of low severities. Default 0 9 * * 1-5; off: each is told alone."`
	Feeds       []FeedIn              `json:"feeds,omitempty" jsonschema_description:"Sources of usage: who uses the credentials beside keyrounds."`
	Leaks       *LeaksIn              `json:"leaks,omitempty" jsonschema_description:"Where registered secrets are looked for, and who reports them."`
	Egress      []string              `json:"egress_addresses,omitempty" jsonschema_description:"Addresses that providers see keyrounds' own checks from, where a NAT hides them."`
	Reports     *ReportsIn            `json:"reports,omitempty" jsonschema_description:"When reports are made."`
	Retention   string                `json:"retention,omitempty" jsonschema_description:"How long results are kept, in months or years. Default 13mo."`
}

// DatabaseSection is database:.
type DatabaseSection struct {
	URL string `json:"url" jsonschema_description:"Reference to a postgres:// URL, such as env:DATABASE_URL; or the URL itself if it holds no password."`
}

// SealingSection is sealing:.
type SealingSection struct {
	Key string `json:"key" jsonschema_description:"file:/path of a Tink keyset with mode 0600. Replicas share one."`
}

// ProviderIn is one of providers:.
type ProviderIn struct {
	Preset               string            `json:"preset,omitempty" jsonschema_description:"Fills in what is not given here; see keyrounds explain --list. Default generic."`
	Issuer               string            `json:"issuer,omitempty" jsonschema_description:"Issuer whose metadata names the endpoints that are not given here (RFC 8414, OpenID Connect Discovery)."`
	TokenURL             string            `json:"token_url,omitempty" jsonschema_description:"Token endpoint (RFC 6749 §3.2)."`
	IntrospectionURL     string            `json:"introspection_url,omitempty" jsonschema_description:"Where the fresh token is asked about (RFC 7662)."`
	RevocationURL        string            `json:"revocation_url,omitempty" jsonschema_description:"Where the token is given back after the check (RFC 7009)."`
	AuthMethod           string            `json:"auth_method,omitempty" jsonschema_description:"client_secret_post, client_secret_basic, client_secret_jwt, private_key_jwt, tls_client_auth, self_signed_tls_client_auth or custom."`
	Assertion            *AssertionIn      `json:"assertion,omitempty" jsonschema_description:"How client_secret_jwt and private_key_jwt sign (RFC 7523)."`
	AllowPrivateNetworks bool              `json:"allow_private_networks,omitempty" jsonschema_description:"Let it be on a loopback, private or link-local address. Metadata services are never dialled."`
	Proxy                string            `json:"proxy,omitempty" jsonschema_description:"URL of an HTTP proxy, or environment for HTTPS_PROXY and NO_PROXY. Default none."`
	TLS                  *TLSIn            `json:"tls,omitempty" jsonschema_description:"Files in PEM."`
	Concurrency          int               `json:"concurrency,omitempty" jsonschema_description:"Checks at once, over all replicas. Default 4."`
	Rate                 string            `json:"rate,omitempty" jsonschema_description:"Checks over all replicas, such as 10/s or 30/m. Default 10/s."`
	Budget               int               `json:"budget,omitempty" jsonschema_description:"Token requests a month, spread over it. 0: no limit."`
	MinInterval          string            `json:"min_interval,omitempty" jsonschema_description:"Least time between two scheduled checks of a credential. Default that of the preset."`
	Passive              bool              `json:"passive,omitempty" jsonschema_description:"Never exchange its credentials; only feeds tell of them."`
	RequestScopes        bool              `json:"request_scopes,omitempty" jsonschema_description:"Send the declared scopes as the scope parameter."`
	Parameters           map[string]string `json:"parameters,omitempty" jsonschema_description:"More members of the token request, such as audience or resource (RFC 8707)."`
	Request              *RequestIn        `json:"request,omitempty" jsonschema_description:"For token endpoints that are not quite OAuth."`
	Response             map[string]string `json:"response,omitempty" jsonschema_description:"jq expressions for members that such an answer has elsewhere: access_token, expires_in, scope, error, error_description."`
	Matchers             []MatcherIn       `json:"matchers,omitempty" jsonschema_description:"How error answers of this provider are read, before the preset's own; keyrounds explain tries them."`
	Probes               []ProbeIn         `json:"probes,omitempty" jsonschema_description:"Read-only requests that show whether a scope works."`
}

// TLSIn is tls: of a provider.
type TLSIn struct {
	CAFile   string `json:"ca_file,omitempty" jsonschema_description:"Authorities to trust instead of the system's."`
	CertFile string `json:"cert_file,omitempty" jsonschema_description:"Client certificate."`
	KeyFile  string `json:"key_file,omitempty" jsonschema_description:"Its key."`
}

// AssertionIn is assertion: of a provider.
type AssertionIn struct {
	Algorithm string `json:"algorithm,omitempty" jsonschema_description:"Such as RS256, PS256, ES256, EdDSA or HS256. Default by the key."`
	Audience  string `json:"audience,omitempty" jsonschema_description:"Default the token endpoint."`
	KeyID     string `json:"key_id,omitempty" jsonschema_description:"kid of the header, where the key is not a JWK that names its own."`
}

// RequestIn is request: of a provider. In its texts {client_id}, {client_secret} and {scope} stand
// for the credential's.
type RequestIn struct {
	Encoding string            `json:"encoding,omitempty" jsonschema_description:"form (default) or json."`
	Headers  map[string]string `json:"headers,omitempty" jsonschema_description:"More headers."`
	Body     map[string]any    `json:"body,omitempty" jsonschema_description:"The whole body, with auth_method custom."`
}

// MatcherIn is one of matchers:. Every condition that is given must hold.
type MatcherIn struct {
	Status      []int    `json:"status,omitempty" jsonschema_description:"Any of these HTTP statuses."`
	Error       []string `json:"error,omitempty" jsonschema_description:"Any of these error codes."`
	Code        []string `json:"code,omitempty" jsonschema_description:"Any of these in error_codes."`
	Description string   `json:"description,omitempty" jsonschema_description:"Regular expression (RE2) that the description holds, case ignored."`
	Outcome     string   `json:"outcome" jsonschema_description:"Such as rejected, misconfigured or provider_error."`
	Reason      string   `json:"reason,omitempty" jsonschema_description:"Of rejected: unknown_client, bad_secret, expired_secret, disabled or unspecified."`
}

// ProbeIn is one of probes:.
type ProbeIn struct {
	Scope  string `json:"scope" jsonschema_description:"The scope that it shows."`
	Get    string `json:"get,omitempty" jsonschema_description:"URL for a GET with the token."`
	Head   string `json:"head,omitempty" jsonschema_description:"URL for a HEAD instead."`
	JQ     string `json:"jq,omitempty" jsonschema_description:"What must hold of the JSON that comes, such as .content|type==\"array\"."`
	Expect []int  `json:"expect,omitempty" jsonschema_description:"Statuses that say that the scope works. Default 200."`
}

// CredentialIn is one of credentials:, and the shape of an imported one.
type CredentialIn struct {
	Name             string            `json:"name" jsonschema_description:"[a-z0-9][a-z0-9-]*, unique."`
	Provider         string            `json:"provider" jsonschema_description:"Name of a provider."`
	ClientID         string            `json:"client_id" jsonschema_description:"As the provider shows it."`
	Secret           string            `json:"secret" jsonschema_description:"Where the secret is: env:NAME, file:/path, exec:command, systemd:NAME, or sealed: for the database."`
	Description      string            `json:"description,omitempty" jsonschema_description:"What it is for."`
	Scopes           []string          `json:"scopes,omitempty" jsonschema_description:"What its users need."`
	Owner            string            `json:"owner,omitempty" jsonschema_description:"Team or person."`
	Labels           map[string]string `json:"labels,omitempty" jsonschema_description:"For routes and filters."`
	Schedule         string            `json:"schedule,omitempty" jsonschema_description:"Cron in timezone, spread by a stable jitter. Default that of defaults."`
	UnusedAfter      string            `json:"unused_after,omitempty" jsonschema_description:"How long without use makes it unused."`
	MaxAge           string            `json:"max_age,omitempty" jsonschema_description:"How old the secret may become."`
	Created          string            `json:"created,omitempty" jsonschema_description:"Date when the provider made it, 2025-03-01."`
	Canary           bool              `json:"canary,omitempty" jsonschema_description:"Nobody may ever use it."`
	ExpectedNetworks []string          `json:"expected_networks,omitempty" jsonschema_description:"Networks that its use comes from."`
}

// DefaultsIn is defaults:.
type DefaultsIn struct {
	Schedule    string `json:"schedule,omitempty" jsonschema_description:"Default */15 * * * *."`
	UnusedAfter string `json:"unused_after,omitempty" jsonschema_description:"Default 90d."`
}

// VerdictIn is verdict:.
type VerdictIn struct {
	Confirm           []string    `json:"confirm,omitempty" jsonschema_description:"When a refusal is confirmed, from the first one on. Default [2m, 10m]."`
	RefusalsPerHour   *int        `json:"refusals_per_hour,omitempty" jsonschema_description:"Authentication failures of one credential, then slower. 0: no cap. Default 3."`
	UnverifiableAfter string      `json:"unverifiable_after,omitempty" jsonschema_description:"How long without a certain answer. Default 6h."`
	Grace             string      `json:"grace,omitempty" jsonschema_description:"How long a new credential or secret may be refused. Default 1h."`
	Incident          *IncidentIn `json:"incident,omitempty" jsonschema_description:"How many of a provider's credentials must turn at once."`
}

// IncidentIn is verdict.incident:.
type IncidentIn struct {
	Count  int     `json:"count,omitempty" jsonschema_description:"At least. Default 3."`
	Share  float64 `json:"share,omitempty" jsonschema_description:"Of those that were healthy, above 0 to 1. Default 0.5."`
	Within string  `json:"within,omitempty" jsonschema_description:"Default 10m."`
}

// SlackIn is slack:.
type SlackIn struct {
	Token      string   `json:"token,omitempty" jsonschema_description:"Reference to the bot token (scope chat:write)."`
	Channel    string   `json:"channel,omitempty" jsonschema_description:"Name with # or id."`
	AppToken   string   `json:"app_token,omitempty" jsonschema_description:"Reference to the app-level token (scope connections:write), for buttons and /keyrounds through Socket Mode."`
	Allow      []string `json:"allow,omitempty" jsonschema_description:"Who may press and type: ids of users (U…) or user groups (S…), or * for everybody in the workspace."`
	APIURL     string   `json:"api_url,omitempty" jsonschema_description:"Instead of Slack's own."`
	WebhookURL string   `json:"webhook_url,omitempty" jsonschema_description:"Reference to an incoming webhook: the receiver webhook, which posts and cannot update."`
}

// ReceiverIn is one of receivers:.
type ReceiverIn struct {
	Name     string `json:"name" jsonschema_description:"[a-z0-9][a-z0-9-]*, unique; not slack or webhook."`
	Type     string `json:"type,omitempty" jsonschema_description:"shoutrrr (default) or alertmanager."`
	URL      string `json:"url" jsonschema_description:"Of shoutrrr: reference to its service URL, such as env:PAGER_URL. Of Alertmanager: its base URL."`
	Token    string `json:"token,omitempty" jsonschema_description:"Of Alertmanager: reference to a bearer token."`
	Username string `json:"username,omitempty" jsonschema_description:"Of Alertmanager: basic authentication."`
	Password string `json:"password,omitempty" jsonschema_description:"Of Alertmanager: reference to the password."`
}

// PlaceIn is a channel, and who is mentioned there.
type PlaceIn struct {
	Channel string `json:"channel,omitempty" jsonschema_description:"Slack channel: name with # or id. Default slack.channel."`
	Mention string `json:"mention,omitempty" jsonschema_description:"Such as <!subteam^S0123ABCD>, <@U0123ABCD> or <!here>."`
}

// RouteIn is one of routes:. Every condition that is given must hold.
type RouteIn struct {
	Severity []string          `json:"severity,omitempty" jsonschema_description:"critical, warning or info."`
	Kind     []string          `json:"kind,omitempty" jsonschema_description:"Kinds of finding, such as revoked."`
	Provider []string          `json:"provider,omitempty" jsonschema_description:"Names of providers."`
	Owner    []string          `json:"owner,omitempty" jsonschema_description:"Owners of credentials."`
	Labels   map[string]string `json:"labels,omitempty" jsonschema_description:"Labels of credentials, all of them."`
	Tell
	ToOwner  bool `json:"to_owner,omitempty" jsonschema_description:"In the place that owners names for the credential's owner, where it names one."`
	Continue bool `json:"continue,omitempty" jsonschema_description:"Look at the routes after this one as well."`
}

// Tell says who is told, and where.
type Tell struct {
	Receivers []string `json:"receivers,omitempty" jsonschema_description:"By name: slack, webhook, or one of receivers. Default all but the fallback."`
	Channel   string   `json:"channel,omitempty" jsonschema_description:"Slack channel: name with # or id. Default slack.channel."`
	Mention   string   `json:"mention,omitempty" jsonschema_description:"Such as <!subteam^S0123ABCD>, <@U0123ABCD> or <!here>."`
}

// NotificationsIn is notifications:.
type NotificationsIn struct {
	GroupWait     string    `json:"group_wait,omitempty" jsonschema_description:"What is found in this time, of one provider and kind, is one message. Default 10s."`
	RemindEvery   string    `json:"remind_every,omitempty" jsonschema_description:"Between reminders of critical findings that nobody acknowledged. 0s: none. Default 4h."`
	EscalateAfter string    `json:"escalate_after,omitempty" jsonschema_description:"Without acknowledgement of a critical finding for so long, escalate_to is told. Default never."`
	EscalateTo    *Tell     `json:"escalate_to,omitempty" jsonschema_description:"Who is told then."`
	Fallback      string    `json:"fallback,omitempty" jsonschema_description:"Receiver that is told when another fails, and of nothing else. Default webhook, where Slack has both a token and a webhook."`
	Proxy         string    `json:"proxy,omitempty" jsonschema_description:"Way out to receivers and to heartbeat.url: environment (HTTPS_PROXY, HTTP_PROXY and NO_PROXY), none, or the URL of an HTTP or SOCKS5 proxy. Default environment."`
	QuietHours    []QuietIn `json:"quiet_hours,omitempty" jsonschema_description:"Times, in timezone, when only critical findings are told. The rest comes when they end."`
	Templates     string    `json:"templates,omitempty" jsonschema_description:"Directory of templates for the words of messages (docs/notifications.md)."`
}

// QuietIn is one of notifications.quiet_hours:.
type QuietIn struct {
	Days []string `json:"days,omitempty" jsonschema_description:"mon to sun, on which it begins. Default every day."`
	From string   `json:"from,omitempty" jsonschema_description:"HH:MM. Default 00:00."`
	To   string   `json:"to,omitempty" jsonschema_description:"HH:MM, on the next day where it is not after from. Default 24:00."`
}

// MaintenanceIn is one of maintenance:.
type MaintenanceIn struct {
	Provider string `json:"provider" jsonschema_description:"Name of a provider."`
	From     string `json:"from,omitempty" jsonschema_description:"Once: when it begins, RFC 3339."`
	To       string `json:"to,omitempty" jsonschema_description:"And when it ends."`
	Schedule string `json:"schedule,omitempty" jsonschema_description:"Again and again: cron, in timezone, of its beginnings."`
	For      string `json:"for,omitempty" jsonschema_description:"And how long it lasts, 7d at most."`
}

// MetricsIn is metrics:.
type MetricsIn struct {
	PerCredential *bool             `json:"per_credential,omitempty" jsonschema_description:"Series for each credential. Default true."`
	Match         map[string]string `json:"match,omitempty" jsonschema_description:"Only for credentials with these labels."`
	Labels        []string          `json:"labels,omitempty" jsonschema_description:"Labels of credentials that keyrounds_credential_info shows."`
	Limit         *int              `json:"limit,omitempty" jsonschema_description:"Credentials with series of their own; those that are not healthy come first. Default 10000."`
	Exemplars     bool              `json:"exemplars,omitempty" jsonschema_description:"Link latencies with traces that are recorded, for scrapers that read OpenMetrics."`
}

// LogIn is log:.
type LogIn struct {
	Level string `json:"level,omitempty" jsonschema_description:"debug, info, warn or error; a reload changes it. Default info. The flag --log-level wins."`
}

// DebugIn is debug:.
type DebugIn struct {
	Listen string `json:"listen" jsonschema_description:"Loopback address of Go's profiles (/debug/pprof/), /log-level, and /readyz without sign-in. Default: none."`
}

// HeartbeatIn is heartbeat:.
type HeartbeatIn struct {
	URL   string `json:"url" jsonschema_description:"Reference to the URL that is asked (GET) while the rounds go on, such as env:HEARTBEAT_URL, as healthchecks.io and Uptime Kuma have them."`
	Every string `json:"every,omitempty" jsonschema_description:"Default 1m."`
}

// LeaksIn is leaks:.
type LeaksIn struct {
	Sources      []LeakSourceIn  `json:"sources,omitempty" jsonschema_description:"Files, directories and git repositories that the daemon scans."`
	Webhooks     []WebhookIn     `json:"webhooks,omitempty" jsonschema_description:"Other scanners that post what they find to /api/v1/leaks/NAME."`
	Transmitters []TransmitterIn `json:"transmitters,omitempty" jsonschema_description:"Who pushes security event tokens (RFC 8417, RFC 8935) to /api/v1/leaks/NAME."`
	TryEvery     string          `json:"try_every,omitempty" jsonschema_description:"How often a secret that got out, or was replaced, is tried while it works. Default 15m."`
}

// LeakSourceIn is one of sources: of leaks.
type LeakSourceIn struct {
	Name        string `json:"name" jsonschema_description:"[a-z0-9][a-z0-9-]*, unique."`
	Path        string `json:"path" jsonschema_description:"Absolute: a file, a directory, or a git repository, whose whole history is scanned. Update mirrors yourself: keyrounds fetches nothing."`
	Schedule    string `json:"schedule,omitempty" jsonschema_description:"Cron, in timezone. Default 30 3 * * *."`
	History     *bool  `json:"history,omitempty" jsonschema_description:"Scan the histories of git repositories in it. Default true."`
	Unreachable bool   `json:"unreachable,omitempty" jsonschema_description:"Also objects that no ref reaches."`
}

// WebhookIn is one of webhooks: of leaks.
type WebhookIn struct {
	Name                 string `json:"name" jsonschema_description:"[a-z0-9][a-z0-9-]*, unique; the end of its URL."`
	Type                 string `json:"type" jsonschema_description:"github, github-partner or gitguardian."`
	Secret               string `json:"secret,omitempty" jsonschema_description:"Reference to the shared secret that deliveries are signed with."`
	Token                string `json:"token,omitempty" jsonschema_description:"Of type github: reference to a token that may read secret scanning alerts, since deliveries do not hold the secret."`
	API                  string `json:"api,omitempty" jsonschema_description:"Of type github: base of its API. Default https://api.github.com."`
	Keys                 string `json:"keys,omitempty" jsonschema_description:"Of type github-partner: URL or absolute file of the public keys. Default https://api.github.com/meta/public_keys/secret_scanning."`
	AllowPrivateNetworks bool   `json:"allow_private_networks,omitempty" jsonschema_description:"Let api and keys be on a loopback, private or link-local address, and plain http."`
}

// TransmitterIn is one of transmitters: of leaks.
type TransmitterIn struct {
	Name                 string `json:"name" jsonschema_description:"[a-z0-9][a-z0-9-]*, unique; the end of its URL."`
	Provider             string `json:"provider" jsonschema_description:"Whose clients its events are about."`
	Issuer               string `json:"issuer" jsonschema_description:"iss of its tokens."`
	Audience             string `json:"audience" jsonschema_description:"aud of its tokens: how it names this receiver."`
	JWKSURL              string `json:"jwks_url" jsonschema_description:"Where its public keys are."`
	AllowPrivateNetworks bool   `json:"allow_private_networks,omitempty" jsonschema_description:"Let the keys be on a loopback, private or link-local address."`
}

// ReportsIn is reports:.
type ReportsIn struct {
	Unused string `json:"unused,omitempty" jsonschema_description:"Cron of the monthly unused-credential report. Default 0 8 1 * *; off: none."`
}
