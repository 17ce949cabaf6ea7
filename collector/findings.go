package collector

import (
	"context"
	"slices"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/registry"
)

var (
	findings      = gauge("keyrounds_findings", "Findings that are not resolved.", "kind", "severity", "state")
	findingOpened = gauge(
		"keyrounds_finding_opened_timestamp_seconds",
		"When a finding that is not resolved was opened; the most severe first, at most metrics.limit. "+
			"credential and owner are empty for those about a provider or keyrounds itself.",
		"finding",
		"kind",
		"severity",
		"state",
		"credential",
		"provider",
		"owner",
	)
	findingsFound = gauge("keyrounds_findings_found", "Findings that there ever were, by provider and kind.", "provider", "kind")
	findingsFalse = gauge(
		"keyrounds_findings_false_alarms",
		"How many findings there ever were that people say were false alarms.",
		"provider",
		"kind",
	)
	partitionAhead = gauge("keyrounds_partitions_ahead", "For how many months to come the table of results has partitions.")

	findingFamilies = []family{findings, findingOpened, findingsFound, findingsFalse, partitionAhead}
)

func (c *collector) findings(ctx context.Context, s scrape) error {
	counts, err := c.Audit.Counts(ctx)
	if err != nil {
		return err
	}
	for _, n := range whole(counts) {
		s.put(findings, float64(n.N), string(n.Kind), string(n.Severity), string(n.State))
	}
	open, err := c.Audit.Open(ctx, c.Series.Limit)
	if err != nil {
		return err
	}
	var tags map[int64]registry.Tag
	if c.Series.PerCredential {
		ids := make([]int64, 0, len(open))
		for _, f := range open {
			ids = append(ids, f.CredentialID)
		}
		if tags, err = c.Registry.Tags(ctx, ids); err != nil {
			return err
		}
	}
	for _, f := range open {
		if f.Credential == "" || c.Series.PerCredential && c.Series.fits(tags[f.CredentialID].Labels) {
			s.at(
				findingOpened,
				f.OpenedAt,
				f.ID,
				string(f.Kind),
				string(f.Severity),
				string(f.State),
				f.Credential,
				f.Provider,
				tags[f.CredentialID].Owner,
			)
		}
	}
	precisions, err := c.Audit.Precisions(ctx)
	if err != nil {
		return err
	}
	for _, p := range precisions {
		s.put(findingsFound, float64(p.Found), p.Provider, string(p.Kind))
		s.put(findingsFalse, float64(p.FalseAlarms), p.Provider, string(p.Kind))
	}
	ahead, err := c.Audit.Ahead(ctx, s.now)
	if err != nil {
		return err
	}
	s.put(partitionAhead, float64(ahead))
	return nil
}

// whole adds the kinds of which there is none, so that a rule sees them begin and end.
func whole(counts []audit.Count) []audit.Count {
	for _, k := range finding.Kinds() {
		for _, state := range []finding.State{finding.Open, finding.Acknowledged, finding.Snoozed} {
			if !slices.ContainsFunc(
				counts,
				func(c audit.Count) bool { return c.Kind == k && c.State == state && c.Severity == k.Severity() },
			) {
				counts = append(counts, audit.Count{Kind: k, Severity: k.Severity(), State: state})
			}
		}
	}
	return counts
}
