package grafana

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// credential is for its owner.
func credential() Dashboard {
	of := func(metric string) string { return `max(` + metric + `{credential="$credential"})` }
	return Dashboard{
		Name: "credential", title: "keyrounds / Credential", about: "One credential: its history, scopes, last use and tokens.",
		variables: []cog.Builder[dashboard.VariableModel]{
			choice("provider", "Provider", "label_values(keyrounds_credentials, provider)", true),
			choice("credential", "Credential", `label_values(keyrounds_credential_info{provider=~"$provider"}, credential)`, false),
		},
		rows: []row{
			{
				"Now",
				[]panel{
					{
						kind:    names,
						title:   "Status",
						about:   "healthy, degraded, suspect, revoked, pending or unknown: docs/verdicts.md says what each means.",
						width:   4,
						queries: []query{{`max by (status) (keyrounds_credential_status{credential="$credential"}) == 1`, "{{status}}"}},
					},
					{
						kind:    names,
						title:   "Owner",
						about:   "Who is asked.",
						width:   4,
						queries: []query{{`max by (owner) (keyrounds_credential_info{credential="$credential"})`, "{{owner}}"}},
					},
					{
						kind:    number,
						title:   "Last token",
						about:   "When it last got one.",
						unit:    "s",
						width:   4,
						queries: []query{{`time() - ` + of("keyrounds_credential_last_success_timestamp_seconds"), ""}},
					},
					{
						kind:    number,
						title:   "Last use by others",
						about:   "As the feeds of its provider show.",
						unit:    "s",
						width:   4,
						queries: []query{{`time() - ` + of("keyrounds_credential_last_used_timestamp_seconds"), ""}},
					},
					{
						kind:    number,
						title:   "Checked every",
						about:   "The longest time between two checks that its schedule and its provider allow.",
						unit:    "s",
						width:   4,
						queries: []query{{of("keyrounds_credential_check_interval_seconds"), ""}},
					},
					{
						kind:  number,
						title: "Open findings",
						about: "About it.",
						width: 4,
						steps: bad,
						queries: []query{
							{
								`count(max by (finding) ` +
									`(keyrounds_finding_opened_timestamp_seconds{credential="$credential", state="open"}))` +
									` or vector(0)`,
								"",
							},
						},
					},
				},
			},
			{
				"History",
				[]panel{
					{
						kind:    states,
						title:   "Status",
						about:   "The line that is lit holds.",
						width:   24,
						steps:   []step{{0, "transparent"}, {1, "blue"}},
						queries: []query{{`max by (status) (keyrounds_credential_status{credential="$credential"})`, "{{status}}"}},
					},
					{
						kind:  lines,
						title: "Findings",
						about: "About it, that were not resolved.",
						width: 12,
						queries: []query{
							{
								`count by (kind) (max by (finding, kind) ` +
									`(keyrounds_finding_opened_timestamp_seconds{credential="$credential"}))` +
									` or label_replace(vector(0), "kind", "none", "", "")`,
								"{{kind}}",
							},
						},
					},
					{
						kind:    lines,
						title:   "Latency",
						about:   "Of its last check.",
						unit:    "s",
						width:   12,
						queries: []query{{of("keyrounds_credential_last_check_duration_seconds"), "exchange"}},
					},
				},
			},
			{
				"What it may do, and does",
				[]panel{
					{
						kind:    lines,
						title:   "Scopes",
						about:   "Declared here; missing: declared and not granted; excess: granted and not declared.",
						width:   8,
						queries: []query{{`max by (scopes) (keyrounds_credential_scopes{credential="$credential"})`, "{{scopes}}"}},
					},
					{
						kind:    lines,
						title:   "Lifetime of tokens",
						about:   "expires_in of its last token. Shorter than before: somebody changed the client.",
						unit:    "s",
						width:   8,
						queries: []query{{of("keyrounds_credential_token_lifetime_seconds"), "expires_in"}},
					},
					{
						kind:    lines,
						title:   "Since the last use",
						about:   "By others than keyrounds.",
						unit:    "s",
						width:   8,
						queries: []query{{`time() - ` + of("keyrounds_credential_last_used_timestamp_seconds"), "since last use"}},
					},
				},
			},
		},
	}
}
