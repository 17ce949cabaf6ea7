package grafana

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

var (
	bad     = []step{{1, "red"}}
	notable = []step{{1, "orange"}}
	share   = []step{{0, "red"}, {0.9, "orange"}, {0.99, "green"}}
)

// fleet is the dashboard to open first: the status of all credentials, what changed, and which are worst.
func fleet() Dashboard {
	all := func(status string) string {
		return `sum(max by (provider, status) (keyrounds_credentials{provider=~"$provider", status=~"` + status + `"}))`
	}
	open := func(match string) string {
		return `sum(max by (kind, severity, state) (keyrounds_findings{` + match + `}))`
	}
	return Dashboard{
		Name:  "fleet",
		title: "keyrounds / Fleet",
		about: "All credentials: how they stand, what changed, what was found, and which are worst.",
		variables: []cog.Builder[dashboard.VariableModel]{
			choice("provider", "Provider", "label_values(keyrounds_credentials, provider)", true),
		},
		rows: []row{
			{
				"Now",
				[]panel{
					{
						kind:    number,
						title:   "Working",
						about:   "Credentials whose last certain answer was a token with all that is declared.",
						unit:    "percentunit",
						width:   4,
						steps:   share,
						queries: []query{{all("healthy") + " / " + all(".*"), ""}},
					},
					{
						kind:    number,
						title:   "Credentials",
						about:   "All that are registered and not retired.",
						width:   3,
						queries: []query{{all(".*"), ""}},
					},
					{
						kind:    number,
						title:   "Revoked",
						about:   "Refused, and that is confirmed. Runbook: KeyroundsCredentialRevoked.",
						width:   3,
						steps:   bad,
						queries: []query{{all("revoked"), ""}},
					},
					{
						kind:    number,
						title:   "Suspect",
						about:   "Refused, and not confirmed yet.",
						width:   3,
						steps:   notable,
						queries: []query{{all("suspect"), ""}},
					},
					{
						kind:    number,
						title:   "Degraded",
						about:   "They work with less than is declared.",
						width:   3,
						steps:   notable,
						queries: []query{{all("degraded"), ""}},
					},
					{
						kind:    number,
						title:   "Critical findings",
						about:   "Open, and nobody acknowledged them.",
						width:   4,
						steps:   bad,
						queries: []query{{open(`severity="critical", state="open"`), ""}},
					},
					{
						kind:    number,
						title:   "Unused",
						about:   "Unused or never used, as their feeds show; the monthly report has a plan for each.",
						width:   4,
						steps:   notable,
						queries: []query{{open(`kind=~"unused|never_used"`), ""}},
					},
				},
			},
			{
				"Changes",
				[]panel{
					{
						kind:  stacked,
						title: "Credentials by status",
						about: "What is held of the credentials.",
						width: 12,
						queries: []query{
							{`sum by (status) (max by (provider, status) (keyrounds_credentials{provider=~"$provider"}))`, "{{status}}"},
						},
					},
					{
						kind:  stacked,
						title: "Changes of status",
						about: "How many credentials turned, in each interval.",
						width: 12,
						queries: []query{
							{
								`sum by (provider) (max by (provider, credential) (changes(` +
									`keyrounds_credential_status_since_timestamp_seconds{provider=~"$provider"}[$__rate_interval])))`,
								"{{provider}}",
							},
						},
					},
					{
						kind:    stacked,
						title:   "Findings",
						about:   "Those that are not resolved, by kind.",
						width:   12,
						queries: []query{{`sum by (kind) (max by (kind, severity, state) (keyrounds_findings)) > 0`, "{{kind}}"}},
					},
					{
						kind:  lines,
						title: "Checks",
						about: "Checks a second, by outcome, over all replicas.",
						unit:  "ops",
						width: 12,
						queries: []query{
							{`sum by (outcome) (rate(keyrounds_checks_total{provider=~"$provider"}[$__rate_interval])) > 0`, "{{outcome}}"},
						},
					},
				},
			},
			{
				"What needs somebody",
				[]panel{
					{
						kind:  list,
						title: "Findings that are not resolved",
						about: "The finding's number is that of Slack and of `keyrounds findings show`.",
						unit:  "dateTimeFromNow",
						width: 14,
						queries: []query{
							{
								`sort_desc(max by (finding, kind, severity, state, credential, provider, owner) ` +
									`(keyrounds_finding_opened_timestamp_seconds{provider=~"$provider|"}) * 1000)`,
								"",
							},
						},
						columns: map[string]string{"Value": "Opened"},
					},
					{
						kind:  list,
						title: "The worst",
						about: "The share of the time shown in which a credential was not healthy.",
						unit:  "percentunit",
						width: 10,
						queries: []query{
							{
								`topk(15, 1 - max by (credential, provider) (avg_over_time(keyrounds_credential_status` +
									`{provider=~"$provider", status="healthy", credential!="_overflow"}[$__range])))`,
								"",
							},
						},
						columns: map[string]string{"Value": "Not healthy"},
					},
					{
						kind:  list,
						title: "Longest without use",
						about: "How long ago others than keyrounds last used a credential, where a feed shows that.",
						unit:  "s",
						width: 12,
						queries: []query{
							{
								`topk(15, time() - max by (credential, provider) ` +
									`(keyrounds_credential_last_used_timestamp_seconds{provider=~"$provider"}))`,
								"",
							},
						},
						columns: map[string]string{"Value": "Since last use"},
					},
					{
						kind:  list,
						title: "Availability by owner",
						about: "The share of checks of the last day that got a token, by owner. " +
							"Recorded by keyrounds.rules.yml, for 1 h, 1 d and 30 d.",
						unit:    "percentunit",
						width:   12,
						queries: []query{{`sort(max by (owner) (owner:keyrounds_availability:ratio_rate1d))`, ""}},
						columns: map[string]string{"Value": "Availability (1 d)"},
					},
				},
			},
		},
	}
}
