package config

// File is the configuration file as it is written. The JSON schema is made of it, so that the
// schema, the decoder and `config schema` never differ. What describes a key there is the
// comment of its field, here or in feedfile.go: go test ./config -run TestComments -update carries it over.
type File struct {
	// Directory for the private Postgres and the sealing key. Default /var/lib/keyrounds as root, else
	// ~/.local/share/keyrounds.
	DataDir string `json:"data_dir,omitempty"`
	// Absent: a private Postgres in data_dir.
	Database *DatabaseSection `json:"database,omitempty"`
	// Key that seals secrets in the database. Absent: made in data_dir.
	Sealing *SealingSection `json:"sealing,omitempty"`
	// Vault or OpenBao, for vault: references. What is not said here is taken from the environment: VAULT_ADDR, VAULT_NAMESPACE,
	// VAULT_CACERT, VAULT_TOKEN or VAULT_TOKEN_FILE, or the same with BAO_.
	Vault *VaultSection `json:"vault,omitempty"`
	// Address of the pages, /metrics, /healthz and /readyz. Default 127.0.0.1:8181; on any other than
	// loopback access or web_config must ask for sign-in.
	Listen string `json:"listen,omitempty"`
	// Where people reach the pages, for links in messages, such as https://keyrounds.example.com. Default: no
	// links.
	ExternalURL string `json:"external_url,omitempty"`
	// File with TLS and basic_auth_users, as for Prometheus exporters.
	WebConfig string `json:"web_config,omitempty"`
	// Who may do what: people who sign in, and the socket of this machine. Absent: nobody signs in but web_config's users.
	Access *AccessIn `json:"access,omitempty"`
	// More names under which the pages are asked for where nobody signs in, without a port; loopback addresses and the host of
	// external_url always are. Under any other the answer is 421.
	Hosts []string `json:"hosts,omitempty"`
	// Addresses or networks of reverse proxies, whose X-Forwarded-For says whom a request came from.
	TrustedProxies []string `json:"trusted_proxies,omitempty"`
	// Authorization servers by name.
	Providers map[string]ProviderIn `json:"providers,omitempty"`
	// Registered clients. One that leaves the file is retired.
	Credentials []CredentialIn `json:"credentials,omitempty"`
	// For credentials that say nothing else.
	Defaults *DefaultsIn `json:"defaults,omitempty"`
	// IANA zone of all schedules. Default UTC.
	Timezone string `json:"timezone,omitempty"`
	// Variables of the environment that commands of exec: references see beside PATH, HOME and LANG, such as VAULT_ADDR.
	ExecEnv []string `json:"exec_env,omitempty"`
	// From results to verdicts.
	Verdict *VerdictIn `json:"verdict,omitempty"`
	// Where findings are told.
	Slack *SlackIn `json:"slack,omitempty"`
	// What /metrics shows.
	Metrics *MetricsIn `json:"metrics,omitempty"`
	// What the daemon logs.
	Log *LogIn `json:"log,omitempty"`
	// For those who look into the daemon itself.
	Debug *DebugIn `json:"debug,omitempty"`
	// Tell another monitor that the rounds go on.
	Heartbeat *HeartbeatIn `json:"heartbeat,omitempty"`
	// Receivers beside Slack.
	Receivers []ReceiverIn `json:"receivers,omitempty"`
	// Who is told of what: the first that fits decides. Default: every receiver is told of everything.
	Routes []RouteIn `json:"routes,omitempty"`
	// Where owners of credentials are told, for routes with to_owner.
	Owners map[string]Tell `json:"owners,omitempty"`
	// When and how findings are told.
	Notify *NotificationsIn `json:"notifications,omitempty"`
	// Times in which a provider is worked on: what that can cause is told when it is over and still so.
	Maintenance []MaintenanceIn `json:"maintenance,omitempty"`
	// Cron of the digest of low severities. Default 0 9 * * 1-5; off: each is told alone.
	Digest string `json:"digest,omitempty"`
	// Sources of usage: who uses the credentials beside keyrounds.
	Feeds []FeedIn `json:"feeds,omitempty"`
	// Where registered secrets are looked for, and who reports them.
	Leaks *LeaksIn `json:"leaks,omitempty"`
	// Addresses that providers see keyrounds' own checks from, where a NAT hides them.
	Egress []string `json:"egress_addresses,omitempty"`
	// When reports are made.
	Reports *ReportsIn `json:"reports,omitempty"`
	// How long results are kept, in months or years. Default 13mo.
	Retention string `json:"retention,omitempty"`
}

// AccessIn is access:. People sign in where people or issuers is given.
type AccessIn struct {
	// Local people sign in with a password. The first one is made on /first-run, with a token that the daemon prints at its start.
	People bool `json:"people,omitempty"`
	// OpenID providers whose people may sign in. They need external_url.
	Issuers []IssuerIn `json:"issuers,omitempty"`
	// How long a sign-in holds.
	Session *SessionIn `json:"session,omitempty"`
	// Roles of users of web_config: viewer, responder or admin. Who is not in it is a viewer.
	Basic map[string]string `json:"basic,omitempty"`
	// Socket for this machine: an absolute path of at most 107 bytes in a directory that only root and the daemon's user can write
	// to, or off. Default keyrounds.sock in data_dir.
	Socket string `json:"socket,omitempty"`
	// Group of this machine whose members are responders by the socket. Default none.
	SocketGroup string `json:"socket_group,omitempty"`
}

// SessionIn is access.session.
type SessionIn struct {
	// A session that is not used so long ends. Default 12h.
	Idle string `json:"idle,omitempty"`
	// A session ends so long after the sign-in, used or not. Default 7d.
	Lifetime string `json:"lifetime,omitempty"`
}

// IssuerIn is one of access.issuers.
type IssuerIn struct {
	// [a-z0-9][a-z0-9-]*, unique. Its redirect URI is external_url/login/NAME/callback.
	Name string `json:"name"`
	// What the button on the page says. Default the name.
	Title string `json:"title,omitempty"`
	// URL of the issuer, whose metadata names the rest (OpenID Connect Discovery).
	Issuer string `json:"issuer"`
	// Client that is registered there for keyrounds.
	ClientID string `json:"client_id"`
	// Reference to its secret.
	ClientSecret string `json:"client_secret"`
	// Scopes beside openid. Default profile and email.
	Scopes []string `json:"scopes,omitempty"`
	// Claim of the ID token with the groups of a person. Default groups.
	GroupsClaim string `json:"groups_claim,omitempty"`
	// Which groups have which role; the first one that a person is in decides.
	Roles []GroupRoleIn `json:"roles,omitempty"`
	// Role of who is in none of these groups: viewer, responder or admin. Default none: the sign-in is refused.
	DefaultRole string `json:"default_role,omitempty"`
	// Let it be on a loopback, private or link-local address, and plain http.
	AllowPrivateNetworks bool `json:"allow_private_networks,omitempty"`
	// URL of an HTTP proxy, or environment for HTTPS_PROXY and NO_PROXY. Default none.
	Proxy string `json:"proxy,omitempty"`
	// Certificate authorities in PEM. Default the system's.
	CAFile string `json:"ca_file,omitempty"`
}

// GroupRoleIn is one of access.issuers.roles.
type GroupRoleIn struct {
	// As the issuer's claim has it.
	Group string `json:"group"`
	// viewer, responder, owner or admin.
	Role string `json:"role"`
	// For the role owner: whose credentials its people see and decide, as credentials have it.
	Owners []string `json:"owners,omitempty"`
}

// DatabaseSection is database:.
type DatabaseSection struct {
	// Reference to a postgres:// URL, such as env:DATABASE_URL; or the URL itself if it holds no password.
	URL string `json:"url"`
	// The same for the role that owns the tables, which is used to migrate and to keep partitions, and for nothing else.
	// Then url is a role that owns nothing. Absent: url does both.
	AdminURL string `json:"admin_url,omitempty"`
}

// SealingSection is sealing:.
type SealingSection struct {
	// file:/path of a Tink keyset with mode 0600. Replicas share one. Default sealing.key in data_dir, which is made at the first
	// start.
	Key string `json:"key,omitempty"`
	// What encrypts that file. Absent: nothing but its mode protects it.
	KMS *KMSSection `json:"kms,omitempty"`
}

// KMSSection is sealing.kms.
type KMSSection struct {
	// Key of a transit engine of the Vault or OpenBao that vault: names.
	Transit *TransitSection `json:"transit,omitempty"`
}

// TransitSection is sealing.kms.transit.
type TransitSection struct {
	// Name of the key, of the type aes256-gcm96 or chacha20-poly1305. It must exist.
	Key string `json:"key"`
	// Where the engine is mounted. Default transit.
	Mount string `json:"mount,omitempty"`
}

// VaultSection is vault:.
type VaultSection struct {
	// Where it is, such as https://vault.example.com:8200. http:// only to this machine, or with allow_http.
	Address string `json:"address,omitempty"`
	// Namespace of all requests.
	Namespace string `json:"namespace,omitempty"`
	// Certificate authorities in PEM. Default the system's.
	CAFile string `json:"ca_file,omitempty"`
	// Also speak plain http:// to other machines, which shows tokens and secrets to the network.
	AllowHTTP bool `json:"allow_http,omitempty"`
	// How to sign in. Default VAULT_TOKEN, or VAULT_TOKEN_FILE.
	Auth *VaultAuth `json:"auth,omitempty"`
}

// VaultAuth is vault.auth. One of its keys.
type VaultAuth struct {
	// Reference to a token, such as file:/run/vault/token. It is read for each request.
	Token string `json:"token,omitempty"`
	// The auth method AppRole.
	AppRole *VaultAppRole `json:"approle,omitempty"`
	// The auth method Kubernetes.
	Kubernetes *VaultKubernetes `json:"kubernetes,omitempty"`
}

// VaultAppRole is vault.auth.approle.
type VaultAppRole struct {
	// Role id.
	RoleID string `json:"role_id"`
	// Reference to the secret id, such as file:/run/keyrounds/secret-id.
	SecretID string `json:"secret_id"`
	// Where the method is mounted. Default approle.
	Mount string `json:"mount,omitempty"`
}

// VaultKubernetes is vault.auth.kubernetes.
type VaultKubernetes struct {
	// Role that is bound to the service account.
	Role string `json:"role"`
	// Where the method is mounted. Default kubernetes.
	Mount string `json:"mount,omitempty"`
	// Token of the service account. Default that of the pod.
	TokenFile string `json:"token_file,omitempty"`
}

// ProviderIn is one of providers:.
type ProviderIn struct {
	// Fills in what is not given here; see keyrounds explain --list. Default generic.
	Preset string `json:"preset,omitempty"`
	// What its credentials are: client_credentials, exchanged for a token, or api_key, sent to its API as it is. Default that
	// of the preset, else client_credentials.
	Kind string `json:"kind,omitempty"`
	// How an API key is sent, of kind api_key.
	APIKey *KeyIn `json:"api_key,omitempty"`
	// Issuer whose metadata names the endpoints that are not given here (RFC 8414, OpenID Connect Discovery).
	Issuer string `json:"issuer,omitempty"`
	// Token endpoint (RFC 6749 §3.2).
	TokenURL string `json:"token_url,omitempty"`
	// Where the fresh token is asked about (RFC 7662).
	IntrospectionURL string `json:"introspection_url,omitempty"`
	// Where the token is given back after the check (RFC 7009).
	RevocationURL string `json:"revocation_url,omitempty"`
	// client_secret_post, client_secret_basic, client_secret_basic_raw, client_secret_jwt, private_key_jwt, tls_client_auth,
	// self_signed_tls_client_auth, client_assertion, none or custom.
	AuthMethod string `json:"auth_method,omitempty"`
	// By which a token is asked for, such as urn:ietf:params:oauth:grant-type:jwt-bearer or password. Default that of the
	// preset, else client_credentials.
	GrantType string `json:"grant_type,omitempty"`
	// Ask for tokens that are bound to a key, and prove its possession (DPoP, RFC 9449).
	DPoP bool `json:"dpop,omitempty"`
	// How client_secret_jwt, private_key_jwt and the grant jwt-bearer sign (RFC 7523).
	Assertion *AssertionIn `json:"assertion,omitempty"`
	// Let it be on a loopback, private or link-local address. Metadata services are never dialled.
	AllowPrivateNetworks bool `json:"allow_private_networks,omitempty"`
	// URL of an HTTP proxy, or environment for HTTPS_PROXY and NO_PROXY. Default none.
	Proxy string `json:"proxy,omitempty"`
	// Files in PEM.
	TLS *TLSIn `json:"tls,omitempty"`
	// Checks at once, over all replicas, up to 1024. Default 4.
	Concurrency int `json:"concurrency,omitempty"`
	// Checks over all replicas, such as 10/s or 30/m, up to 100000/s. Default 10/s.
	Rate string `json:"rate,omitempty"`
	// Token requests a month, spread over it. 0: no limit.
	Budget int `json:"budget,omitempty"`
	// Least time between two scheduled checks of a credential. Default that of the preset.
	MinInterval string `json:"min_interval,omitempty"`
	// What it bears of refusals of one client before it locks it out: none (it locks nobody out), unknown, or how many
	// an hour. What is refused is looked at again by that. Default that of the preset, else unknown.
	Lockout LockoutIn `json:"lockout,omitempty"`
	// Never exchange its credentials; only feeds tell of them.
	Passive bool `json:"passive,omitempty"`
	// Send the declared scopes as the scope parameter.
	RequestScopes bool `json:"request_scopes,omitempty"`
	// More members of the token request, such as audience or resource (RFC 8707). {client_id}, {client_secret} and {scope}
	// stand for the credential's.
	Parameters map[string]string `json:"parameters,omitempty"`
	// More members of the token request, whose values are read from where they are kept: the second secret of a grant that
	// has two, such as a password beside a client secret.
	SecretParameters map[string]string `json:"secret_parameters,omitempty"`
	// For token endpoints that are not quite OAuth.
	Request *RequestIn `json:"request,omitempty"`
	// jq expressions for members that such an answer has elsewhere: access_token, expires_in, scope, error,
	// error_description; of kind api_key also expires_at, when the key ends.
	Response map[string]string `json:"response,omitempty"`
	// Headers of an API's answer that have the key's scope or expires_at, of kind api_key.
	ResponseHeaders map[string]string `json:"response_headers,omitempty"`
	// How error answers of this provider are read, before the preset's own; keyrounds explain tries them.
	Matchers []MatcherIn `json:"matchers,omitempty"`
	// Read-only requests that show whether a scope works; of kind api_key, those without a scope show whether the key does.
	Probes []ProbeIn `json:"probes,omitempty"`
}

// KeyIn is api_key: of a provider. One of header, query and basic.
type KeyIn struct {
	// Such as X-Api-Key or Authorization.
	Header string `json:"header,omitempty"`
	// What stands before the key in the header, such as Bearer.
	Scheme string `json:"scheme,omitempty"`
	// Name of a parameter of the URL. Proxies and logs see it: prefer a header where the API has one.
	Query string `json:"query,omitempty"`
	// Which half of Basic the key is: username, with an empty password, or password, with the client id as user name.
	Basic string `json:"basic,omitempty"`
}

// TLSIn is tls: of a provider.
type TLSIn struct {
	// Authorities to trust instead of the system's.
	CAFile string `json:"ca_file,omitempty"`
	// Client certificate.
	CertFile string `json:"cert_file,omitempty"`
	// Its key.
	KeyFile string `json:"key_file,omitempty"`
}

// AssertionIn is assertion: of a provider.
type AssertionIn struct {
	// Such as RS256, PS256, ES256, EdDSA or HS256. Default by the key.
	Algorithm string `json:"algorithm,omitempty"`
	// Default the token endpoint.
	Audience string `json:"audience,omitempty"`
	// kid of the header, where the key is not a JWK that names its own.
	KeyID string `json:"key_id,omitempty"`
	// iss. Default the client id.
	Issuer string `json:"issuer,omitempty"`
	// sub. Default the client id; of the grant jwt-bearer none.
	Subject string `json:"subject,omitempty"`
	// More claims. {client_id} and {scope} stand for the credential's, and what is then empty is left out.
	Claims map[string]any `json:"claims,omitempty"`
	// How long it is valid, such as 45s, up to 1h. Default 2m.
	Lifetime string `json:"lifetime,omitempty"`
}

// RequestIn is request: of a provider. In its texts {client_id}, {client_secret} and {scope} stand
// for the credential's.
type RequestIn struct {
	// form (default) or json.
	Encoding string `json:"encoding,omitempty"`
	// More headers.
	Headers map[string]string `json:"headers,omitempty"`
	// The whole body, with auth_method custom.
	Body map[string]any `json:"body,omitempty"`
}

// MatcherIn is one of matchers:. Every condition that is given must hold.
type MatcherIn struct {
	// Any of these HTTP statuses.
	Status []int `json:"status,omitempty"`
	// Any of these error codes.
	Error []string `json:"error,omitempty"`
	// Any of these in error_codes.
	Code []string `json:"code,omitempty"`
	// Regular expression (RE2) that the description holds, case ignored.
	Description string `json:"description,omitempty"`
	// Such as rejected, misconfigured or provider_error.
	Outcome string `json:"outcome"`
	// Of rejected: unknown_client, bad_secret, expired_secret, disabled or unspecified.
	Reason string `json:"reason,omitempty"`
}

// ProbeIn is one of probes:.
type ProbeIn struct {
	// The scope that it shows. Of kind api_key it may be left out: the probe then shows whether the key works at all.
	Scope string `json:"scope,omitempty"`
	// URL for a GET with the token.
	Get string `json:"get,omitempty"`
	// URL for a HEAD instead.
	Head string `json:"head,omitempty"`
	// What must hold of the JSON that comes, such as .content|type=="array".
	JQ string `json:"jq,omitempty"`
	// Statuses that say that the scope works. Default 200.
	Expect []int `json:"expect,omitempty"`
}

// CredentialIn is one of credentials:, and the shape of an imported one.
type CredentialIn struct {
	// [a-z0-9][a-z0-9-]*, unique.
	Name string `json:"name"`
	// Name of a provider.
	Provider string `json:"provider"`
	// As the provider shows it. Of an API key, as the provider's log names the key; left out where none does.
	ClientID string `json:"client_id,omitempty"`
	// Which of the client's keys it is, as the provider's log names it (Entra: servicePrincipalCredentialKeyId). Uses of
	// another key are not its own. Default: all uses of the client are, but of keys that are known to be another's.
	KeyID string `json:"key_id,omitempty"`
	// Where the secret is: env:NAME, file:/path, exec:command, systemd:NAME, vault:mount/path#field, or sealed: for the
	// database.
	Secret string `json:"secret"`
	// Where the passphrase of the key is that secret names, where that is encrypted (PEM or PKCS #12): env:NAME, file:/path,
	// exec:command, systemd:NAME or vault:mount/path#field.
	KeyPassphrase string `json:"key_passphrase,omitempty"`
	// What it is for.
	Description string `json:"description,omitempty"`
	// What its users need.
	Scopes []string `json:"scopes,omitempty"`
	// Team or person.
	Owner string `json:"owner,omitempty"`
	// For routes and filters.
	Labels map[string]string `json:"labels,omitempty"`
	// Cron in timezone, spread by a stable jitter. Default that of defaults.
	Schedule string `json:"schedule,omitempty"`
	// How long without use makes it unused.
	UnusedAfter string `json:"unused_after,omitempty"`
	// How old the secret may become.
	MaxAge string `json:"max_age,omitempty"`
	// Date when the provider made it, 2025-03-01.
	Created string `json:"created,omitempty"`
	// When it ends by itself: a date, which counts from its beginning in UTC, or a time, 2027-03-01T09:30:00Z. A certificate
	// says so itself.
	Expires string `json:"expires,omitempty"`
	// Nobody may ever use it.
	Canary bool `json:"canary,omitempty"`
	// Networks that its use comes from.
	ExpectedNetworks []string `json:"expected_networks,omitempty"`
}

// DefaultsIn is defaults:.
type DefaultsIn struct {
	// Default */15 * * * *.
	Schedule string `json:"schedule,omitempty"`
	// Default 90d.
	UnusedAfter string `json:"unused_after,omitempty"`
	// How long before a credential ends by itself people are told, each time. []: never. Default [30d, 14d, 7d, 1d].
	ExpiringBefore []string `json:"expiring_before,omitempty"`
}

// VerdictIn is verdict:.
type VerdictIn struct {
	// When a refusal is confirmed, from the first one on; a minute and two after it where others of its provider are
	// accepted meanwhile. Default [2m, 10m].
	Confirm []string `json:"confirm,omitempty"`
	// When what is refused is looked at again, from the first refusal on; then as far apart as the last two. Default
	// [15m, 30m, 1h, 3h, 7h, 13h].
	Again []string `json:"again,omitempty"`
	// Authentication failures of one credential, unless its provider's lockout is none; up to twice as many where that is
	// unknown and an incident ended. 0: no cap; at most 11. Default 6.
	RefusalsPerHour *int `json:"refusals_per_hour,omitempty"`
	// How long without a certain answer. Default 6h.
	UnverifiableAfter string `json:"unverifiable_after,omitempty"`
	// How long a provider may answer nobody. Default 10m.
	ProviderDownAfter string `json:"provider_down_after,omitempty"`
	// How long a new credential or secret may be refused. Default 1h.
	Grace string `json:"grace,omitempty"`
	// How many of a provider's credentials must turn at once.
	Incident *IncidentIn `json:"incident,omitempty"`
}

// IncidentIn is verdict.incident:.
type IncidentIn struct {
	// At least. Default 3.
	Count int `json:"count,omitempty"`
	// Of those that answered since the first refusal, above 0 to 1. Default 0.5.
	Share float64 `json:"share,omitempty"`
	// Default 10m.
	Within string `json:"within,omitempty"`
}

// SlackIn is slack:.
type SlackIn struct {
	// Reference to the bot token (scope chat:write).
	Token string `json:"token,omitempty"`
	// Name with # or id.
	Channel string `json:"channel,omitempty"`
	// Reference to the app-level token (scope connections:write), for buttons and /keyrounds through Socket
	// Mode.
	AppToken string `json:"app_token,omitempty"`
	// Who may press and type: ids of users (U…) or user groups (S…), or * for everybody in the workspace.
	Allow []string `json:"allow,omitempty"`
	// Instead of Slack's own.
	APIURL string `json:"api_url,omitempty"`
	// Reference to an incoming webhook: the receiver webhook, which posts and cannot update.
	WebhookURL string `json:"webhook_url,omitempty"`
}

// ReceiverIn is one of receivers:.
type ReceiverIn struct {
	// [a-z0-9][a-z0-9-]*, unique; not slack or webhook.
	Name string `json:"name"`
	// shoutrrr (default), alertmanager, webhook, teams, pagerduty, opsgenie or mail.
	Type string `json:"type,omitempty"`
	// Of shoutrrr: reference to its service URL, such as env:PAGER_URL. Of Teams: reference to the URL of a workflow. Of
	// Alertmanager: its base URL. Of a webhook: the address that events are posted to. Of mail: smtp://host (STARTTLS) or
	// smtps://host. Of PagerDuty and Opsgenie: instead of the address of their region.
	URL string `json:"url,omitempty"`
	// Of PagerDuty: reference to the integration key of a service.
	RoutingKey string `json:"routing_key,omitempty"`
	// Of Opsgenie: reference to the key of an API integration.
	APIKey string `json:"api_key,omitempty"`
	// Of PagerDuty and Opsgenie: us (default) or eu.
	Region string `json:"region,omitempty"`
	// Of mail: who sends, an address, also with a name.
	From string `json:"from,omitempty"`
	// Of mail: who gets it, addresses.
	To []string `json:"to,omitempty"`
	// Of mail: without TLS, for a server on a safe way that has none. Not with a password.
	Plain bool `json:"plain,omitempty"`
	// Of Alertmanager: reference to a bearer token.
	Token string `json:"token,omitempty"`
	// Of Alertmanager and mail: who signs in.
	Username string `json:"username,omitempty"`
	// Of Alertmanager and mail: reference to the password.
	Password string `json:"password,omitempty"`
	// Of a webhook: reference to the secret that signs events, whsec_ and base64 of 24 to 64 bytes.
	Secret string `json:"secret,omitempty"`
}

// RouteIn is one of routes:. Every condition that is given must hold.
type RouteIn struct {
	// critical, warning or info.
	Severity []string `json:"severity,omitempty"`
	// Kinds of finding, such as revoked.
	Kind []string `json:"kind,omitempty"`
	// Names of providers.
	Provider []string `json:"provider,omitempty"`
	// Owners of credentials.
	Owner []string `json:"owner,omitempty"`
	// Labels of credentials, all of them.
	Labels map[string]string `json:"labels,omitempty"`
	Tell
	// In the place that owners names for the credential's owner, where it names one.
	ToOwner bool `json:"to_owner,omitempty"`
	// Look at the routes after this one as well.
	Continue bool `json:"continue,omitempty"`
}

// Tell says who is told, and where.
type Tell struct {
	// By name: slack, webhook, or one of receivers. Default all but the fallback.
	Receivers []string `json:"receivers,omitempty"`
	// Slack channel: name with # or id. Default slack.channel.
	Channel string `json:"channel,omitempty"`
	// Such as <!subteam^S0123ABCD>, <@U0123ABCD>, <!here>, or the e-mail address of a member.
	Mention string `json:"mention,omitempty"`
}

// NotificationsIn is notifications:.
type NotificationsIn struct {
	// What is found in this time, of one provider and kind, is one message. Default 10s.
	GroupWait string `json:"group_wait,omitempty"`
	// What is found of the same provider and kind so long after a message joins it. 0s: nothing does. Default 5m.
	GroupInterval string `json:"group_interval,omitempty"`
	// Between reminders of critical findings that nobody acknowledged. 0s: none. Default 4h.
	RemindEvery string `json:"remind_every,omitempty"`
	// Without acknowledgement of a critical finding for so long, escalate_to is told. Default never.
	EscalateAfter string `json:"escalate_after,omitempty"`
	// Who is told then.
	EscalateTo *Tell `json:"escalate_to,omitempty"`
	// More steps of that, one after the other.
	Escalation []StepIn `json:"escalation,omitempty"`
	// Between reminders of warnings that nobody acknowledged. 0s: none. Default 24h.
	RemindWarningsEvery string `json:"remind_warnings_every,omitempty"`
	// How long after it was acknowledged a finding that is still open is told again. 0s: never. Default 24h.
	AckTimeout string `json:"ack_timeout,omitempty"`
	// Tell of a refusal before it is confirmed, as a warning, in the message that becomes critical when it is.
	Early bool `json:"early,omitempty"`
	// Receiver that is told when another fails, and of nothing else. Default webhook, where Slack has both a
	// token and a webhook.
	Fallback string `json:"fallback,omitempty"`
	// Way out to receivers and to heartbeat.url: environment (HTTPS_PROXY, HTTP_PROXY and NO_PROXY), none, or
	// the URL of an HTTP or SOCKS5 proxy. Default environment.
	Proxy string `json:"proxy,omitempty"`
	// Times, in timezone, when only critical findings are told. The rest comes when they end.
	QuietHours []QuietIn `json:"quiet_hours,omitempty"`
	// Directory of templates for the words of messages (docs/notifications.md).
	Templates string `json:"templates,omitempty"`
}

// StepIn is one of notifications.escalation:.
type StepIn struct {
	// How long after the message was posted, without acknowledgement.
	After string `json:"after"`
	Tell
}

// QuietIn is one of notifications.quiet_hours:.
type QuietIn struct {
	// mon to sun, on which it begins. Default every day.
	Days []string `json:"days,omitempty"`
	// HH:MM. Default 00:00.
	From string `json:"from,omitempty"`
	// HH:MM, on the next day where it is not after from. Default 24:00.
	To string `json:"to,omitempty"`
}

// MaintenanceIn is one of maintenance:.
type MaintenanceIn struct {
	// Name of a provider.
	Provider string `json:"provider"`
	// Once: when it begins, RFC 3339.
	From string `json:"from,omitempty"`
	// And when it ends.
	To string `json:"to,omitempty"`
	// Again and again: cron, in timezone, of its beginnings.
	Schedule string `json:"schedule,omitempty"`
	// And how long it lasts, 7d at most.
	For string `json:"for,omitempty"`
}

// MetricsIn is metrics:.
type MetricsIn struct {
	// Series for each credential. Default true.
	PerCredential *bool `json:"per_credential,omitempty"`
	// Only for credentials with these labels.
	Match map[string]string `json:"match,omitempty"`
	// Labels of credentials that keyrounds_credential_info shows.
	Labels []string `json:"labels,omitempty"`
	// Credentials with series of their own; those that are not healthy come first. Default 1000.
	Limit *int `json:"limit,omitempty"`
	// Link latencies with traces that are recorded, for scrapers that read OpenMetrics.
	Exemplars bool `json:"exemplars,omitempty"`
}

// LogIn is log:.
type LogIn struct {
	// debug, info, warn or error; a reload changes it. Default info. The flag --log-level wins.
	Level string `json:"level,omitempty"`
}

// DebugIn is debug:.
type DebugIn struct {
	// Loopback address of Go's profiles (/debug/pprof/), /log-level, and /readyz without sign-in. Default:
	// none.
	Listen string `json:"listen"`
}

// HeartbeatIn is heartbeat:.
type HeartbeatIn struct {
	// Reference to the URL that is asked (GET) while the rounds go on, such as env:HEARTBEAT_URL, as
	// healthchecks.io and Uptime Kuma have them.
	URL string `json:"url"`
	// Default 1m.
	Every string `json:"every,omitempty"`
}

// LeaksIn is leaks:.
type LeaksIn struct {
	// Files, directories and git repositories that the daemon scans.
	Sources []LeakSourceIn `json:"sources,omitempty"`
	// Other scanners that post what they find to /api/v1/leaks/NAME.
	Webhooks []WebhookIn `json:"webhooks,omitempty"`
	// Who pushes security event tokens (RFC 8417, RFC 8935) to /api/v1/leaks/NAME.
	Transmitters []TransmitterIn `json:"transmitters,omitempty"`
	// How often a secret that got out, or was replaced, is tried while it works. Default 15m.
	TryEvery string `json:"try_every,omitempty"`
}

// LeakSourceIn is one of sources: of leaks.
type LeakSourceIn struct {
	// [a-z0-9][a-z0-9-]*, unique.
	Name string `json:"name"`
	// Absolute: a file, a directory, or a git repository, whose whole history is scanned. Update mirrors
	// yourself: keyrounds fetches nothing.
	Path string `json:"path"`
	// Cron, in timezone. Default 30 3 * * *.
	Schedule string `json:"schedule,omitempty"`
	// Scan the histories of git repositories in it. Default true.
	History *bool `json:"history,omitempty"`
	// Also objects that no ref reaches.
	Unreachable bool `json:"unreachable,omitempty"`
}

// WebhookIn is one of webhooks: of leaks.
type WebhookIn struct {
	// [a-z0-9][a-z0-9-]*, unique; the end of its URL.
	Name string `json:"name"`
	// github, github-partner or gitguardian.
	Type string `json:"type"`
	// Reference to the shared secret that deliveries are signed with.
	Secret string `json:"secret,omitempty"`
	// Of type github: reference to a token that may read secret scanning alerts, since deliveries do not hold
	// the secret.
	Token string `json:"token,omitempty"`
	// Of type github: base of its API. Default https://api.github.com.
	API string `json:"api,omitempty"`
	// Of type github-partner: URL or absolute file of the public keys. Default
	// https://api.github.com/meta/public_keys/secret_scanning.
	Keys string `json:"keys,omitempty"`
	// Let api and keys be on a loopback, private or link-local address, and plain http.
	AllowPrivateNetworks bool `json:"allow_private_networks,omitempty"`
}

// TransmitterIn is one of transmitters: of leaks.
type TransmitterIn struct {
	// [a-z0-9][a-z0-9-]*, unique; the end of its URL.
	Name string `json:"name"`
	// Whose clients its events are about.
	Provider string `json:"provider"`
	// iss of its tokens.
	Issuer string `json:"issuer"`
	// aud of its tokens: how it names this receiver.
	Audience string `json:"audience"`
	// Where its public keys are.
	JWKSURL string `json:"jwks_url"`
	// Let the keys be on a loopback, private or link-local address.
	AllowPrivateNetworks bool `json:"allow_private_networks,omitempty"`
}

// ReportsIn is reports:.
type ReportsIn struct {
	// Cron of the monthly unused-credential report. Default 0 8 1 * *; off: none.
	Unused string `json:"unused,omitempty"`
}
