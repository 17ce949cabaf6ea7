package exposure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/confine"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/leak/scan"
	"github.com/keyrounds/keyrounds/postgres"
)

// Source is a source of the configuration, as its last scan left it.
type Source struct {
	Name string `json:"name"`
	Path string `json:"path"`
	leak.SourceState
}

// Sources lists the sources of the configuration.
func (x *Exposure) Sources(ctx context.Context) ([]Source, error) {
	states, err := x.Leaks.Sources(ctx)
	all := []Source{}
	for _, s := range x.settings.Load().Sources {
		state := states[s.Name]
		if state.NotSearched == nil {
			state.NotSearched = map[scan.Reason]int{}
		}
		if state.LeftOut == nil {
			state.LeftOut = []scan.Skipped{}
		}
		all = append(all, Source{s.Name, s.Path, state})
	}
	return all, err
}

// SourceStates returns how the last scan of each source of the configuration ended, by name.
func (x *Exposure) SourceStates(ctx context.Context) (map[string]leak.SourceState, error) {
	sources, err := x.Sources(ctx)
	all := map[string]leak.SourceState{}
	for _, s := range sources {
		all[s.Name] = s.SourceState
	}
	return all, err
}

const (
	lookForScans = 10 * time.Second
	// A scan that was cut off by a kill is done again after so long.
	scanHold = 2 * time.Hour
)

// ScanSources scans the sources of the configuration when they are due, until ctx ends. Of several replicas one
// scans each; told may be nil.
func (x *Exposure) ScanSources(ctx context.Context, told func(source string, f scan.Found, err error)) {
	sayConfined := sync.OnceFunc(func() {
		if abi := confine.Landlock(); abi > 0 {
			x.Log.Info("git and archives are read under Landlock", "version", abi)
			return
		}
		x.Log.Warn("git and archives are read without Landlock: this kernel has none, or a filter of system calls keeps it from us")
	})
	for {
		for _, s := range x.settings.Load().Sources {
			mine, err := x.Leaks.ClaimSource(ctx, s.Name, x.Now(), scanHold)
			if err != nil && ctx.Err() == nil {
				x.Log.Warn("a scan for leaks could not begin", "source", s.Name, "error", err)
			}
			if err == nil && mine {
				sayConfined()
				f, err := x.scanSource(ctx, s, false)
				if told != nil && ctx.Err() == nil {
					told(s.Name, f, err)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(x.Look):
		}
	}
}

// ScanSourceNow scans a source of the configuration, all of it, whenever it is due.
func (x *Exposure) ScanSourceNow(ctx context.Context, name string) (scan.Found, error) {
	for _, s := range x.settings.Load().Sources {
		if s.Name == name {
			now := x.Now() // it is held even where it is not due, so that no other begins the same
			_, err := x.Leaks.ClaimSource(ctx, name, now, scanHold)
			if err == nil {
				err = x.Leaks.Scanned(ctx, name, leak.SourceState{Next: now.Add(scanHold)}, false)
			}
			if err != nil {
				return scan.Found{}, postgres.Plain(err)
			}
			return x.scanSource(ctx, s, true)
		}
	}
	return scan.Found{}, fmt.Errorf("leaks.sources of the configuration has no %q", name)
}

// wholeEvery: what only a look at everything finds, such as an object that came into a repository without a ref, is found after so long.
const wholeEvery = 7 * 24 * time.Hour

// scanSource scans a source, of its histories only what is new where whole is false and nothing speaks against that.
func (x *Exposure) scanSource(ctx context.Context, s leak.Source, whole bool) (scan.Found, error) {
	began := x.Now()
	states, err := x.Leaks.Sources(ctx)
	if err != nil {
		return scan.Found{}, postgres.Plain(err)
	}
	was := states[s.Name]
	if whole || was.Error != "" || began.Sub(was.Whole) > wholeEvery {
		was.Tips = nil
	}
	done, err := x.scan(ctx, s, was)
	f := done.found
	if ctx.Err() != nil { // the daemon stops: whoever is next does it
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
		defer cancel()
		_ = x.Leaks.Scanned(ctx, s.Name, leak.SourceState{Next: x.Now()}, false)
		return f, err
	}
	state := leak.SourceState{
		Scanned: x.Now().UTC(),
		Took:    x.Now().Sub(began),
		Bytes:   f.Bytes,
		Found:   len(f.Hits),
		Skipped: len(f.Skipped),
		Next:    x.nextScan(s),

		NotSearched: f.Reasons(),
		LeftOut:     f.Skipped[:min(len(f.Skipped), mostLeftOut)],

		Tips: f.Tips, Registry: done.registry, Whole: began.UTC(), FoundBefore: inHistory(f),
	}
	if done.onlyNew {
		state.Whole = was.Whole
		state.Found, state.FoundBefore = state.Found+was.FoundBefore, state.FoundBefore+was.FoundBefore
	}
	if err != nil {
		state.Error = err.Error()
		x.Log.Warn("a scan for leaks failed", "source", s.Name, "error", err)
	} else {
		x.Log.Info(
			"scanned for leaks",
			"source", s.Name,
			"found", len(f.Hits),
			"left_out", len(f.Skipped),
			"bytes", f.Bytes,
			"took", state.Took.Round(time.Millisecond),
		)
	}
	return f, errors.Join(err, postgres.Plain(x.Leaks.Scanned(ctx, s.Name, state, true)))
}

func (x *Exposure) nextScan(s leak.Source) time.Time {
	schedule, err := credential.ParseSchedule(s.Schedule, x.settings.Load().Zone)
	if err != nil { // config refuses those
		return x.Now().Add(24 * time.Hour)
	}
	return schedule.Next(x.Now())
}

func inHistory(f scan.Found) (n int) {
	for _, h := range f.Hits {
		if h.Object != "" {
			n++
		}
	}
	return n
}

// scanned is how a scan of a source went.
type scanned struct {
	found    scan.Found
	registry []byte // fingerprint of what was looked for; nil: there is no key to make one
	onlyNew  bool   // of its histories
}

// scan searches a source: of its histories only what is new since was, where the same was looked for then.
func (x *Exposure) scan(ctx context.Context, s leak.Source, was leak.SourceState) (done scanned, err error) {
	terms, unreadable, err := x.Terms(ctx)
	if err != nil {
		return done, postgres.Plain(err)
	}
	if registry, err := x.Leaks.RegistryPrint(ctx, terms); err == nil { // without a sealing key everything is searched each time
		done.registry = registry
	}
	done.onlyNew = len(was.Tips) > 0 && len(done.registry) > 0 && bytes.Equal(done.registry, was.Registry)
	if !done.onlyNew {
		was.Tips = nil
	}
	for name, why := range unreadable {
		x.Log.Warn("a secret cannot be read, so it is not looked for", "credential", name, "error", why)
	}
	scanner, _ := scan.NewScanner(
		terms,
		scan.Options{History: s.History, Unreachable: s.Unreachable, Workers: 1, Confine: x.Confine, Since: was.Tips},
	) // beside the rounds
	err = scanner.Tree(ctx, s.Path)
	f := scanner.Found()
	done.found = f
	if err != nil {
		return done, err
	}
	if len(f.Hits) > 0 {
		_, err = x.TakeHits(ctx, audit.Daemon, f, "source "+s.Name)
	}
	return done, errors.Join(err, notSearched(f))
}

// notSearched says why a source counts as one that could not be scanned: git cannot open it or read it, or nothing of it was
// searched at all. That it is a clone without everything is told by its coverage, and is no failure of the scan.
func notSearched(f scan.Found) error {
	if f.Files == 0 {
		return errors.New("nothing of it was searched: there is no file in it that can be read")
	}
	var failed []scan.Skipped
	for _, s := range f.Failed {
		if s.Reason != scan.Shallow && s.Reason != scan.PartialClone {
			failed = append(failed, s)
		}
	}
	if err := (scan.Found{Failed: failed}).Partial(); err != nil {
		return err
	}
	return nil
}

const mostLeftOut = 50 // that are kept by name of a source
