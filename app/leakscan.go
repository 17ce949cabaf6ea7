package app

import (
	"context"
	"errors"
	"time"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/leak/scan"
	"github.com/keyrounds/keyrounds/postgres"
)

// LeakSource is a source of the configuration, as its last scan left it.
type LeakSource struct {
	Name string `json:"name"`
	Path string `json:"path"`
	leak.SourceState
}

// LeakSources lists the sources of the configuration.
func (a *App) LeakSources(ctx context.Context) ([]LeakSource, error) {
	states, err := a.Leaks.Sources(ctx)
	all := []LeakSource{}
	for _, s := range a.config.Load().Leaks.Sources {
		all = append(all, LeakSource{s.Name, s.Path, states[s.Name]})
	}
	return all, err
}

func (a *App) leakStates(ctx context.Context) (map[string]leak.SourceState, error) {
	sources, err := a.LeakSources(ctx)
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
func (a *App) ScanSources(ctx context.Context, told func(source string, f scan.Found, err error)) {
	for {
		for _, s := range a.config.Load().Leaks.Sources {
			mine, err := a.Leaks.ClaimSource(ctx, s.Name, a.Now(), scanHold)
			if err != nil && ctx.Err() == nil {
				a.Log.Warn("a scan for leaks could not begin", "source", s.Name, "error", err)
			}
			if err == nil && mine {
				f, err := a.scanSource(ctx, s)
				if told != nil && ctx.Err() == nil {
					told(s.Name, f, err)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(lookForScans, max(a.Tick, time.Second))):
		}
	}
}

func (a *App) scanSource(ctx context.Context, s config.LeakSource) (scan.Found, error) {
	began := a.Now()
	f, err := a.scan(ctx, s)
	if ctx.Err() != nil { // the daemon stops: whoever is next does it
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
		defer cancel()
		_ = a.Leaks.Scanned(ctx, s.Name, leak.SourceState{Next: a.Now()}, false)
		return f, err
	}
	state := leak.SourceState{Scanned: a.Now().UTC(), Took: a.Now().Sub(began), Bytes: f.Bytes, Found: len(f.Hits), Skipped: len(f.Skipped), Next: a.nextScan(s)}
	if err != nil {
		state.Error = err.Error()
		a.Log.Warn("a scan for leaks failed", "source", s.Name, "error", err)
	} else {
		a.Log.Info("scanned for leaks", "source", s.Name, "found", len(f.Hits), "left_out", len(f.Skipped), "bytes", f.Bytes, "took", state.Took.Round(time.Millisecond))
	}
	return f, errors.Join(err, postgres.Plain(a.Leaks.Scanned(ctx, s.Name, state, true)))
}

func (a *App) nextScan(s config.LeakSource) time.Time {
	schedule, err := credential.ParseSchedule(s.Schedule, a.config.Load().Zone)
	if err != nil { // config refuses those
		return a.Now().Add(24 * time.Hour)
	}
	return schedule.Next(a.Now())
}

func (a *App) scan(ctx context.Context, s config.LeakSource) (scan.Found, error) {
	terms, unreadable, err := a.Terms(ctx)
	if err != nil {
		return scan.Found{}, postgres.Plain(err)
	}
	for name, why := range unreadable {
		a.Log.Warn("a secret cannot be read, so it is not looked for", "credential", name, "error", why)
	}
	scanner, _ := scan.NewScanner(terms, scan.Options{History: s.History, Unreachable: s.Unreachable, Workers: 1}) // beside the rounds
	if err := scanner.Tree(ctx, s.Path); err != nil {
		return scan.Found{}, err
	}
	f := scanner.Found()
	if len(f.Hits) == 0 {
		return f, nil
	}
	_, err = a.TakeHits(ctx, audit.Daemon, f, "source "+s.Name)
	return f, err
}
