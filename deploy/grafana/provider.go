package grafana

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// provider is for "is it them or us?".
func provider() Dashboard {
	return Dashboard{
		Name:  "provider",
		title: "keyrounds / Provider",
		about: "One authorization server: how well it answers, how fast, what it refuses, what it allows.",
		variables: []cog.Builder[dashboard.VariableModel]{
			choice("provider", "Provider", "label_values(keyrounds_credentials, provider)", false),
		},
		rows: []row{
			{
				"Now",
				[]panel{
					{
						kind:    number,
						title:   "Availability (1 h)",
						about:   "The share of checks that it answered; a refusal is an answer. Recorded by keyrounds.rules.yml.",
						unit:    "percentunit",
						width:   5,
						steps:   share,
						queries: []query{{`provider:keyrounds_availability:ratio_rate1h{provider="$provider"}`, ""}},
					},
					{
						kind:    number,
						title:   "Availability (30 d)",
						about:   "Likewise, of the last 30 days.",
						unit:    "percentunit",
						width:   5,
						steps:   share,
						queries: []query{{`provider:keyrounds_availability:ratio_rate30d{provider="$provider"}`, ""}},
					},
					{
						kind:    number,
						title:   "Latency, 95th percentile (1 h)",
						about:   "Of an exchange, from its first request to the last byte.",
						unit:    "s",
						width:   5,
						queries: []query{{`provider:keyrounds_check_duration_seconds:p95_1h{provider="$provider"}`, ""}},
					},
					{
						kind:    number,
						title:   "Credentials",
						about:   "That are registered here.",
						width:   4,
						queries: []query{{`sum(max by (status) (keyrounds_credentials{provider="$provider"}))`, ""}},
					},
					{
						kind:  number,
						title: "Incidents",
						about: "Open findings provider_incident (it refuses many credentials at once) and provider_down " +
							"(it answers nobody). " +
							"Runbooks: KeyroundsProviderIncident, KeyroundsProviderDown.",
						width: 5,
						steps: bad,
						queries: []query{
							{
								`count(max by (finding) (keyrounds_finding_opened_timestamp_seconds` +
									`{kind=~"provider_incident|provider_down", provider="$provider", state="open"})) or vector(0)`,
								"",
							},
						},
					},
				},
			},
			{
				"Answers",
				[]panel{
					{
						kind:  stacked,
						title: "Checks by outcome",
						about: "Checks a second.",
						unit:  "ops",
						width: 12,
						queries: []query{
							{`sum by (outcome) (rate(keyrounds_checks_total{provider="$provider"}[$__rate_interval])) > 0`, "{{outcome}}"},
						},
					},
					{
						kind:  lines,
						title: "Errors by outcome",
						about: "The share of checks without a token. Rejected is about credentials; " +
							"provider_error, unreachable, intercepted, malformed and rate_limited are not.",
						unit:  "percentunit",
						width: 12,
						queries: []query{
							{
								`sum by (outcome) (rate(keyrounds_checks_total{provider="$provider", outcome!="ok"}[$__rate_interval]))` +
									` / on () group_left () ` +
									`(sum(rate(keyrounds_checks_total{provider="$provider"}[$__rate_interval])) > 0)`,
								"{{outcome}}",
							},
						},
					},
					{
						kind:    stacked,
						title:   "Credentials by status",
						about:   "What is held of its credentials.",
						width:   12,
						queries: []query{{`max by (status) (keyrounds_credentials{provider="$provider"})`, "{{status}}"}},
					},
					{
						kind:  lines,
						title: "Incidents",
						about: "When it refused many credentials at once, or answered nobody.",
						width: 12,
						queries: []query{
							{
								`count(max by (finding) (keyrounds_finding_opened_timestamp_seconds` +
									`{kind=~"provider_incident|provider_down", provider="$provider"})) or vector(0)`,
								"incidents",
							},
						},
					},
				},
			},
			{
				"Latency",
				[]panel{
					{
						kind:  lines,
						title: "Latency by phase, 95th percentile",
						about: "dns, connect, tls and first_byte are parts of total; a connection that is reused has only first_byte.",
						unit:  "s",
						width: 12,
						queries: []query{
							{
								`histogram_quantile(0.95, sum by (phase, le) ` +
									`(rate(keyrounds_check_duration_seconds_bucket{provider="$provider"}[$__rate_interval]))) > 0`,
								"{{phase}}",
							},
						},
					},
					{
						kind:  heat,
						title: "Latency",
						about: "How many exchanges took how long.",
						unit:  "s",
						width: 12,
						queries: []query{
							{
								`sum by (le) (increase(keyrounds_check_duration_seconds_bucket` +
									`{provider="$provider", phase="total"}[$__rate_interval]))`,
								"{{le}}",
							},
						},
					},
				},
			},
			{
				"Limits",
				[]panel{
					{
						kind:  lines,
						title: "Waiting for a turn",
						about: "Seconds a second that checks waited: " +
							"for the provider's rate, its concurrency, or a pause that it asked for.",
						unit:  "s",
						width: 8,
						queries: []query{
							{
								`sum by (cause) (rate(keyrounds_check_wait_seconds_total{provider="$provider"}[$__rate_interval]))`,
								"{{cause}}",
							},
						},
					},
					{
						kind:  lines,
						title: "Lag",
						about: "How long the credential that waits longest for its result is overdue, and for how long the rate is " +
							"booked or it asked to be left alone. Lag that grows without a pause: the schedules ask for more than is " +
							"possible. Runbook: KeyroundsFallingBehind.",
						unit:  "s",
						width: 8,
						queries: []query{
							{`max(keyrounds_provider_lag_seconds{provider="$provider"})`, "lag"},
							{`max(keyrounds_provider_booked_seconds{provider="$provider"})`, "booked"},
						},
					},
					{
						kind:    lines,
						title:   "Token requests this month",
						about:   "What counts toward its budget, since the first of the month (UTC).",
						width:   8,
						queries: []query{{`max(keyrounds_provider_month_requests{provider="$provider"})`, "requests"}},
					},
				},
			},
		},
	}
}
