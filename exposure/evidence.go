package exposure

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/leak/intake"
	"github.com/keyrounds/keyrounds/leak/scan"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
)

// noteTime bounds how long a check waits for its secret's fingerprint to be stored; the next one tries again.
const noteTime = 2 * time.Second

// Seen learns a secret as it is read, before it is used. What cannot be stored is learned the next time.
func (x *Exposure) Seen(ctx context.Context, c credential.Credential, v secret.Value) {
	ctx, cancel := context.WithTimeout(ctx, noteTime)
	defer cancel()
	if err := x.Leaks.Note(ctx, c, v, x.Now()); err != nil {
		x.Log.Debug("the fingerprint of a secret could not be stored", "credential", c.Name, "error", err)
	}
}

// Weigh returns the findings about leaks that results and other findings make, in their transaction.
func (x *Exposure) Weigh(ctx context.Context, tx pgx.Tx, rs []checker.Result, events []finding.Event) ([]finding.Event, error) {
	checked := make([]leak.Checked, len(rs))
	for i, r := range rs {
		checked[i] = leak.Checked{CredentialID: r.CredentialID, At: r.At, Scopes: provenScopes(r)}
		if works := r.Outcome.HasToken(); works || r.Outcome == checker.Rejected {
			checked[i].Works = &works
		}
	}
	return x.Leaks.Weigh(ctx, tx, checked, events, x.Now())
}

// provenScopes are those that the provider granted or that a probe showed to work.
func provenScopes(r checker.Result) []string {
	scopes := slices.Clone(r.Granted)
	for _, p := range r.Probes {
		switch i := slices.Index(scopes, p.Scope); {
		case p.Verdict == checker.ProbeOK && i < 0:
			scopes = append(scopes, p.Scope)
		case p.Verdict == checker.ProbeDenied && i >= 0:
			scopes = slices.Delete(scopes, i, i+1)
		}
	}
	slices.Sort(scopes)
	return scopes
}

// Terms are the secrets and client ids of every credential, also secrets that were replaced and are kept. What
// cannot be read is returned by name, and the rest looked for.
func (x *Exposure) Terms(ctx context.Context) (terms []scan.Term, unreadable map[string]error, err error) {
	creds, err := x.Registry.List(ctx, true)
	if err != nil {
		return nil, nil, err
	}
	former, err := x.Leaks.Former(ctx)
	if err != nil {
		return nil, nil, err
	}
	unreadable = map[string]error{}
	for _, c := range creds {
		for _, t := range former[c.ID] {
			t.Credential = c.Name
			terms = append(terms, t)
		}
		if !c.Retired.IsZero() {
			continue
		}
		if c.Subject != "" {
			terms = append(terms, scan.Term{Credential: c.Name, Kind: scan.ClientID, Value: c.Subject})
		}
		v, err := x.Rounds.Resolve(ctx, c)
		if err != nil {
			unreadable[c.Name] = err
			continue
		}
		terms = append(terms, scan.Term{
			Credential: c.Name, Kind: scan.Secret, Value: v.Reveal(), Partner: c.Subject, Home: home(c.Secret),
		})
		v.Wipe()
	}
	return terms, unreadable, nil
}

// home is the file that a reference names, as it is really called.
func home(ref secret.Reference) string {
	if ref.Scheme() != secret.SchemeFile {
		return ""
	}
	path := strings.TrimPrefix(ref.String(), secret.SchemeFile+":")
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		path = filepath.Join(path, secret.PairKey)
	}
	name, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	return name
}

// TakeHits writes down what a scan found, and returns the credentials whose secret it found.
func (x *Exposure) TakeHits(ctx context.Context, actor string, f scan.Found, how string) ([]credential.Credential, error) {
	creds, err := x.Registry.List(ctx, true)
	if err != nil {
		return nil, err
	}
	byName := map[string]credential.Credential{}
	for _, c := range creds {
		byName[c.Name] = c
	}
	var (
		all    []leak.Evidence
		leaked []credential.Credential
	)
	for _, h := range f.Hits {
		c, ok := byName[h.Credential]
		if !ok {
			continue // retired and deleted meanwhile
		}
		all = append(all, leak.EvidenceOfHit(h, c.ID, how, x.Now()))
		if h.Kind == scan.Secret && !slices.ContainsFunc(leaked, func(l credential.Credential) bool { return l.ID == c.ID }) {
			leaked = append(leaked, c)
		}
	}
	_, err = x.addEvidence(ctx, arrival{
		actor: actor, action: "leaks.scanned", evidence: all,
		detail: map[string]any{"how": how, "found": len(f.Hits), "skipped": len(f.Skipped), "bytes": f.Bytes},
	})
	return leaked, err
}

// arrival is evidence as it comes in.
type arrival struct {
	actor, action string
	detail        map[string]any
	evidence      []leak.Evidence
	soon          []int64 // credentials that should be checked at once, beside those of the evidence
	// once notes the delivery; where it was taken in before, nothing is done. nil: it is none.
	once func(context.Context, pgx.Tx) (fresh bool, err error)
}

var errTakenBefore = errors.New("it was taken in before")

// addEvidence writes evidence down, with the findings that it makes, and has the credentials checked at once.
func (x *Exposure) addEvidence(ctx context.Context, t arrival) (fresh int, err error) {
	ids, due := slices.Clone(t.soon), slices.Clone(t.soon)
	for _, ev := range t.evidence {
		ids = append(ids, ev.CredentialID)
		if ev.Kind != leak.ByClientID {
			due = append(due, ev.CredentialID)
		}
	}
	slices.Sort(ids)
	slices.Sort(due)
	ids, due = slices.Compact(ids), slices.Compact(due)
	err = x.inTx(ctx, func(tx pgx.Tx) error {
		now := x.Now()
		if t.once != nil {
			switch is, err := t.once(ctx, tx); {
			case err != nil:
				return err
			case !is:
				return errTakenBefore
			}
		}
		if err := x.Registry.Lock(ctx, tx, ids); err != nil {
			return err
		}
		if fresh, err = x.Leaks.AddEvidence(ctx, tx, t.evidence, now); err != nil {
			return err
		}
		events, err := x.Leaks.Judge(ctx, tx, ids, now)
		if err != nil {
			return err
		}
		if _, err := x.Audit.Publish(ctx, tx, events); err != nil {
			return err
		}
		if fresh > 0 || len(t.soon) > 0 {
			var soon []registry.Due
			for _, id := range due {
				soon = append(soon, registry.Due{ID: id, At: now, Why: "at once, since there is news that its secret got out"})
			}
			if err := x.Registry.Reschedule(ctx, tx, soon); err != nil {
				return err
			}
		}
		e, err := audit.NewEntry(now, t.actor, t.action, "keyrounds", t.detail)
		if err != nil {
			return err
		}
		return x.Audit.Append(ctx, tx, e)
	})
	return fresh, err
}

// wantsHMSL: only GitGuardian names secrets by that hash.
func wantsHMSL(all []intake.Webhook) bool {
	return slices.ContainsFunc(all, func(w intake.Webhook) bool { return w.Type == intake.GitGuardian })
}
