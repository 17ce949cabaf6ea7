package deploy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/test/lasting"
)

var worked = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// cause is something that happens, and what the alert about it says, word by word.
type cause struct {
	name                 string
	kind                 finding.Kind
	evidence             finding.Evidence
	alert                string
	summary, description string
	labels               map[string]string // beside credential, provider, owner, severity and told_by; nil: none
}

var causes = []cause{
	{
		name: "refused, and it worked", kind: finding.Revoked, evidence: finding.Evidence{LastSuccess: worked},
		alert:   "KeyroundsCredentialRevoked",
		summary: "The credential ats-sync is refused, and that is confirmed",
		description: "Provider sr refused it again after the configured confirmations. Owner: web. " +
			"The integration that uses it is down, or will be when its token ends.",
	},
	{
		name: "refused, and it never worked", kind: finding.Revoked,
		evidence: finding.Evidence{Refusal: finding.Refusal{NeverHealthy: true}},
		alert:    "KeyroundsCredentialRevoked",
		summary:  "The credential ats-sync is refused, and that is confirmed",
		description: "Provider sr refused it again after the configured confirmations. Owner: web. " +
			"It never worked here, so nothing stops that worked before.",
	},
	{
		name: "tokens without a scope", kind: finding.ScopeLost,
		evidence: finding.Evidence{LastSuccess: worked, Scopes: finding.Scopes{MissingScopes: []string{"write"}}},
		alert:    "KeyroundsScopeLost", summary: scopeSummary, description: scopeDescription,
	},
	{
		name: "invalid_scope: no token, and it worked", kind: finding.ScopeLost,
		evidence: finding.Evidence{
			LastSuccess: worked,
			Scopes:      finding.Scopes{NoToken: true},
			Answer:      finding.Answer{Outcome: "scope_denied", ErrorCode: "invalid_scope"},
		},
		alert: "KeyroundsScopeLost", summary: scopeSummary, description: scopeDescription,
	},
	{
		name: "unauthorized_client: no token, and it worked", kind: finding.ScopeLost,
		evidence: finding.Evidence{
			LastSuccess: worked,
			Scopes:      finding.Scopes{NoToken: true},
			Answer:      finding.Answer{Outcome: "grant_denied", ErrorCode: "unauthorized_client"},
		},
		alert: "KeyroundsScopeLost", summary: scopeSummary, description: scopeDescription,
	},
	{
		name: "invalid_scope: no token, and it never worked", kind: finding.ScopeLost,
		evidence: finding.Evidence{
			Refusal: finding.Refusal{NeverHealthy: true},
			Scopes:  finding.Scopes{NoToken: true},
			Answer:  finding.Answer{Outcome: "scope_denied", ErrorCode: "invalid_scope"},
		},
		alert: "KeyroundsScopeLost", summary: scopeSummary, description: scopeDescription,
	},
	{
		name: "its secret is gone", kind: finding.SecretUnreadable, evidence: finding.Evidence{LastSuccess: worked},
		alert:   "KeyroundsSecretUnreadable",
		summary: "The secret of the credential ats-sync cannot be read",
		description: "keyrounds cannot check it at provider sr. Owner: web. " +
			"What deploys secrets has changed, or the integration cannot read it either.",
	},
	misuse(finding.Leaked, finding.Evidence{Leak: &finding.Leak{}}, "The secret of the credential ats-sync got out"),
	misuse(finding.CanaryTripped, finding.Evidence{Usage: finding.Usage{Uses: used}}, "The canary ats-sync was used"),
	misuse(
		finding.UnexpectedUse,
		finding.Evidence{Usage: finding.Usage{Uses: used}},
		"The credential ats-sync was used from an unexpected network",
	),
	misuse(
		finding.UsedAfterRevocation,
		finding.Evidence{Usage: finding.Usage{Uses: used}},
		"The credential ats-sync, or a secret of it, was used after its end",
	),
	misuse(
		finding.UsedAfterRevocation,
		finding.Evidence{Usage: finding.Usage{Uses: []finding.Use{{Failures: 3}}}},
		"Someone still tries the credential ats-sync, or a secret of it, after its end, in vain",
	),
	{
		name: "many are refused at once", kind: finding.ProviderIncident, alert: "KeyroundsProviderIncident",
		summary: "The provider sr refuses many credentials at once",
		description: "That is one incident of the provider, or a change of ours that hits all of them; " +
			"no credential is blamed while it lasts.",
	},
	{
		name: "an outage", kind: finding.ProviderDown, alert: "KeyroundsProviderDown",
		summary: "The provider sr answers nobody",
		description: "For verdict.provider_down_after (10 minutes unless configured) nobody got an answer from it, or only that it is " +
			"in trouble. No credential is blamed; tokens that were issued before go on until they end.",
	},
	{
		name: "more is asked than its rate allows", kind: finding.FallingBehind, alert: "KeyroundsFallingBehind",
		summary: "The checks of provider sr fall behind their schedules",
		description: "Its schedules ask for more than its rate and concurrency allow, or it answers slowly. " +
			"The finding says what would do.",
	},
	{
		name: "refused, and there is no receiver", kind: finding.Revoked, evidence: finding.Evidence{LastSuccess: worked},
		alert: "KeyroundsUntold", labels: map[string]string{"kind": "revoked"},
		summary: "Nobody was told: revoked, credential ats-sync of provider sr", description: untold("web"),
	},
	{
		name: "an outage, and there is no receiver", kind: finding.ProviderDown,
		alert: "KeyroundsUntold", labels: map[string]string{"kind": "provider_down"},
		summary: "Nobody was told: provider down, provider sr", description: untold("not known"),
	},
}

const (
	scopeSummary     = "The credential ats-sync lacks a scope or grant that it needs"
	scopeDescription = "Provider sr gives tokens without it, gives no token at all for want of it, or refuses a request that needs it. " +
		"Owner: web."
)

var used = []finding.Use{{Network: "192.0.2.0/24", Uses: 1}}

func misuse(kind finding.Kind, e finding.Evidence, summary string) cause {
	return cause{
		name: summary, kind: kind, evidence: e, alert: "KeyroundsCredentialMisused", summary: summary,
		description: fmt.Sprintf("Provider: sr. Owner: web. The finding (%s) has the evidence: where, when and by whom.", kind),
		labels:      map[string]string{"kind": string(kind)},
	}
}

func untold(owner string) string {
	return "keyrounds found it, and its messages do not arrive or it has no receiver. Owner: " + owner +
		". This alert is over when messages arrive again, or when the finding is acknowledged or over."
}

// What an alert says is true of each of its causes, and it has the severity that messages have
// (docs/promises.md#every-alert-fires-and-is-over).
func TestAlertTexts(t *testing.T) {
	lasting.Test(t, "it runs promtool")
	t.Parallel()
	rules, err := filepath.Abs("prometheus/keyrounds.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	var tests []object
	for _, c := range causes {
		s := finding.Subject{Provider: "sr", Credential: "ats-sync"}
		labels, owner := map[string]string{"provider": "sr", "credential": "ats-sync", "owner": "web"}, "web"
		if slices.Contains([]finding.Kind{finding.ProviderIncident, finding.ProviderDown, finding.FallingBehind}, c.kind) {
			s.Credential, labels, owner = "", map[string]string{"provider": "sr"}, ""
		}
		severity := string(finding.Event{Op: finding.OpOpen, Kind: c.kind, Subject: s, Evidence: c.evidence}.Severity())
		labels["severity"] = severity
		if c.alert != "KeyroundsUntold" {
			labels["told_by"] = "keyrounds"
		}
		for name, v := range c.labels {
			labels[name] = v
		}
		series := fmt.Sprintf(
			"keyrounds_finding_opened_timestamp_seconds{finding=%q,kind=%q,severity=%q,state=%q,credential=%q,provider=%q,owner=%q}",
			"7", c.kind, severity, "open", s.Credential, s.Provider, owner)
		tests = append(tests, object{
			"name": c.name, "interval": "1m", "input_series": []object{{"series": series, "values": "1000x20"}},
			"alert_rule_test": []object{{"alertname": c.alert, "eval_time": "15m", "exp_alerts": []object{{
				"exp_labels": labels,
				"exp_annotations": object{
					"summary": c.summary, "description": c.description,
					"runbook_url": "https://github.com/keyrounds/keyrounds/blob/main/docs/runbooks/" + c.alert + ".md",
				},
			}}}},
		})
		if !strings.Contains(c.summary+c.description, "sr") || !strings.Contains(c.summary, s.Name()) {
			t.Errorf("%s: %q does not say whose it is", c.name, c.summary)
		}
	}
	b, err := yaml.Marshal(object{"rule_files": []string{rules}, "evaluation_interval": "1m", "tests": tests})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "texts.yml")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "promtool", "test", "rules", path)
}

// Every alert about findings has its causes here, and everything that is critical has an alert.
func TestEveryCauseIsThere(t *testing.T) {
	t.Parallel()
	for _, a := range alerts(t) {
		if aboutFindings(a) && !slices.ContainsFunc(causes, func(c cause) bool { return c.alert == a.Alert }) {
			t.Errorf("no cause of %s", a.Alert)
		}
	}
	for _, k := range finding.Kinds() {
		if k == finding.ReceiverFailing || k == finding.StorageFailing { // KeyroundsNotificationsFailing, KeyroundsDatabaseErrors
			continue
		}
		if k.Severity() == finding.Critical &&
			!slices.ContainsFunc(causes, func(c cause) bool { return c.kind == k && c.alert != "KeyroundsUntold" }) {
			t.Errorf("no alert about %s", k)
		}
	}
}
