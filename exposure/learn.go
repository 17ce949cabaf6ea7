package exposure

import (
	"context"
	"crypto/sha1" //nolint:gosec // as detect-secrets does
	"encoding/hex"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/leak/intake"
	"github.com/keyrounds/keyrounds/leak/scan"
)

const (
	learnEvery = time.Hour
	// What could be read and not be stored, as by a database that is busy, is learned again after so long.
	learnSoon = 20 * time.Second
)

// learn reads every secret once, so that their fingerprints are known, and returns what knows them in a report.
func (x *Exposure) learn(ctx context.Context) (*knower, error) {
	terms, unreadable, err := x.Terms(ctx)
	for name, why := range unreadable {
		x.Log.Warn("a secret cannot be read, so reports cannot be held against it", "credential", name, "error", why)
	}
	if err != nil {
		return nil, fmt.Errorf("the registered secrets: %w", err)
	}
	s, _ := scan.NewScanner(terms, scan.Options{})
	return &knower{scanner: s, terms: terms}, nil
}

// knower knows the registered secrets in texts of reports. It is kept no longer than one report is read.
type knower struct {
	scanner *scan.Scanner
	terms   []scan.Term
	bySHA1  map[string]string // made when it is asked for
}

// widen adds to a finding the secrets and client ids that its texts have in some encoding, and the secret that its SHA-1 is of. It
// reports whether there were any.
func (k *knower) widen(rep *intake.Reported) (more bool) {
	add := func(v string, to *[]string) {
		if !slices.Contains(*to, v) {
			*to, more = append(*to, v), true
		}
	}
	for _, text := range rep.Texts {
		for _, t := range k.scanner.In(text) {
			if t.Kind == scan.ClientID {
				add(t.Value, &rep.Clients)
			} else {
				add(t.Value, &rep.Values)
			}
		}
	}
	if rep.SHA1 == "" {
		return more
	}
	if k.bySHA1 == nil {
		k.bySHA1 = map[string]string{}
		for _, t := range k.terms {
			sum := sha1.Sum([]byte(t.Value)) //nolint:gosec // as detect-secrets does
			k.bySHA1[hex.EncodeToString(sum[:])] = t.Value
		}
	}
	if v, is := k.bySHA1[rep.SHA1]; is {
		add(v, &rep.Values)
	}
	return more
}

// learnAgain learns every secret if that was not done lately: checks do it as they go, and those of a passive
// provider are never checked.
func (x *Exposure) learnAgain(ctx context.Context) error {
	return x.hourly(&x.learned, func() (whole bool, err error) {
		if _, err := x.learn(ctx); err != nil {
			return false, err
		}
		return x.fill(ctx)
	})
}

// learnUnknown reads the secrets of which none is known yet, if that was not done lately.
func (x *Exposure) learnUnknown(ctx context.Context) error {
	return x.hourly(&x.filled, func() (whole bool, err error) { return x.fill(ctx) })
}

// fill reads the secrets of which none is known. It is whole where none of those that could be read is still unknown.
func (x *Exposure) fill(ctx context.Context) (whole bool, err error) {
	unknown, err := x.unknown(ctx)
	read := map[int64]bool{}
	for _, c := range unknown {
		v, err := x.Rounds.Resolve(ctx, c)
		if err != nil {
			x.Log.Debug("a secret cannot be read, so reports cannot be held against it", "credential", c.Name, "error", err)
			continue
		}
		read[c.ID] = true
		v.Wipe()
	}
	if err != nil || len(read) == 0 {
		return true, err
	}
	left, err := x.unknown(ctx)
	return !slices.ContainsFunc(left, func(c credential.Credential) bool { return read[c.ID] }), err
}

// hourly does what was not done within learnEvery: again at the next call where it failed, and within learnSoon where it was
// not whole.
func (x *Exposure) hourly(last *atomic.Int64, do func() (whole bool, err error)) error {
	now, was := x.Now().Unix(), last.Load()
	if now-was < int64(learnEvery.Seconds()) || !last.CompareAndSwap(was, now) {
		return nil
	}
	whole, err := do()
	switch {
	case err != nil:
		last.Store(0)
	case !whole:
		last.Store(now - int64((learnEvery - learnSoon).Seconds()))
	}
	return err
}

// unknown lists the credentials whose present secret nobody has read yet: no report can be held against it.
func (x *Exposure) unknown(ctx context.Context) (all []credential.Credential, err error) {
	known, err := x.Leaks.Known(ctx)
	if err != nil {
		return nil, err
	}
	creds, err := x.Registry.List(ctx, false)
	for _, c := range creds {
		if !known[c.ID] {
			all = append(all, c)
		}
	}
	return all, err
}
