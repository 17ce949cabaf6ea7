package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/secret"
)

// The times of storing.
const (
	writeEvery    = 5 * time.Second
	writeTimeout  = 5 * time.Second
	notStoring    = 15 * time.Second // without a write: not ready
	notStoringFor = 2 * time.Minute  // people are told
	tellAgain     = time.Minute      // those who could not be told
)

// storing knows whether this process can store: by a small write every few seconds, and by results that wait to be stored. To
// answer is not enough: a full disk and a database that became read-only answer.
type storing struct {
	mu      sync.Mutex
	last    time.Time // it could
	failing time.Time // since when it cannot; zero: it can
	why     string
	said    bool // the log says so
}

// errUnstored is why storing fails where the small write succeeds.
var errUnstored = errors.New("results of checks wait to be stored")

// watchStorage goes on until ctx ends.
func (a *App) watchStorage(ctx context.Context) {
	replica := replicaName()
	told := a.readTold()
	var tried time.Time
	for {
		// Before the begin another replica may be at the migrations, for minutes: that says nothing of whether it can be stored.
		if err := a.tryWrite(ctx, replica); !errors.Is(err, audit.ErrNoSchema) || a.ready.Load() == nil {
			a.noteWrite(err)
		}
		if ctx.Err() != nil {
			return
		}
		if a.Now().Sub(tried) >= tellAgain || told != nil && a.storingError() == nil {
			if next, did := a.tellStorage(ctx, told); did {
				told, tried = next, a.Now()
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(writeEvery):
		}
	}
}

func replicaName() string {
	host, _ := os.Hostname()
	return host + " " + rand.Text()[:8]
}

func (a *App) tryWrite(ctx context.Context, replica string) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := a.Audit.Write(ctx, replica, a.Now()); err != nil {
		return postgres.Plain(err) // which leaves ErrNoSchema as it is
	}
	if err := a.watched.TakesNoWrites(notStoring); err != nil {
		return err // a small write that needs no room says nothing of others
	}
	if since := a.Rounds.Unstored(); !since.IsZero() && time.Since(since) > notStoring {
		return errUnstored
	}
	return nil
}

func (a *App) noteWrite(err error) {
	s, now := &a.storage, a.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		if !s.failing.IsZero() && now.Sub(s.failing) > notStoring {
			a.Log.Info("it can be stored again", "after", now.Sub(s.failing).Round(time.Second).String())
		}
		s.last, s.failing, s.why, s.said = now, time.Time{}, "", false
	case s.failing.IsZero():
		s.failing, s.why = now, err.Error()
	default:
		s.why = err.Error()
		if !s.said && now.Sub(s.last) >= notStoring {
			s.said = true
			a.Log.Error("nothing can be stored", "since", s.failing, "error", s.why)
		}
	}
}

// storingError is why nothing can be stored; nil where that has not lasted yet.
func (a *App) storingError() error {
	s := &a.storage
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing.IsZero() || a.Now().Sub(s.last) < notStoring {
		return nil
	}
	return fmt.Errorf("nothing can be stored since %s: %s", s.failing.UTC().Format("15:04:05 MST"), s.why)
}

// toldStorage is who was told that nothing can be stored. It is kept in data_dir, since the database cannot: a daemon that is
// started again meanwhile tells the same people that it is over.
type toldStorage struct {
	Since  time.Time     `json:"since"`
	Told   time.Time     `json:"told"`
	Why    string        `json:"why"`
	Places []notify.Told `json:"places"`
}

const toldStorageFile = "storage-failing.json"

// tellStorage tells people that nothing can be stored, or that it can again. did: there was something to tell.
func (a *App) tellStorage(ctx context.Context, told *toldStorage) (_ *toldStorage, did bool) {
	s, now := &a.storage, a.Now()
	s.mu.Lock()
	since, why := s.failing, s.why
	s.mu.Unlock()
	switch {
	case since.IsZero() && told == nil, !since.IsZero() && now.Sub(since) < notStoringFor && told == nil:
		return told, false
	case since.IsZero():
		f := storageFinding(told.Since, told.Told, told.Why)
		f.State, f.ResolvedAt, f.UpdatedAt, f.ResolvedWhy = finding.Resolved, now, now, "it can be stored again"
		left, err := a.Notifier.Direct(ctx, f, told.Places)
		a.logDirect(err)
		if len(left) == 0 || now.Sub(told.Told) > 24*time.Hour {
			a.keepTold(nil)
			return nil, true
		}
		told.Places = left
		return told, true
	}
	if told == nil {
		told = &toldStorage{Since: since, Told: now, Why: why}
		a.Log.Error("nothing can be stored; people are told directly", "since", since, "error", why)
	}
	places, err := a.Notifier.Direct(ctx, storageFinding(told.Since, told.Told, told.Why), told.Places)
	a.logDirect(err)
	told.Places = places
	a.keepTold(told)
	return told, true
}

func storageFinding(since, told time.Time, why string) finding.Finding {
	host, _ := os.Hostname()
	return finding.Finding{
		Kind: finding.StorageFailing, Severity: finding.StorageFailing.Severity(), State: finding.Open, OpenedAt: told, UpdatedAt: told,
		Evidence: finding.Evidence{Since: since, Answer: finding.Answer{Message: secret.Scrubber{}.Clean(host+": "+why, 500)}},
	}
}

func (a *App) logDirect(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		a.Log.Warn("not everybody could be told directly whether anything can be stored", "error", err)
	}
}

// toldRoom is what the file always has: it is made when there is room, and written over when there may be none.
const toldRoom = 8 << 10

// readTold reads the file, and makes it where there is none.
func (a *App) readTold() *toldStorage {
	dir, err := os.OpenRoot(a.Options.Config.DataDir)
	if err != nil {
		return nil
	}
	defer dir.Close()
	text, err := dir.ReadFile(toldStorageFile)
	if errors.Is(err, fs.ErrNotExist) {
		a.keepTold(nil)
	}
	told := &toldStorage{}
	if err != nil || json.Unmarshal(text, told) != nil {
		return nil
	}
	return told
}

// keepTold is best effort.
func (a *App) keepTold(told *toldStorage) {
	var text []byte
	if told != nil {
		text, _ = json.Marshal(told)
	}
	text = append(text, bytes.Repeat([]byte{' '}, max(0, toldRoom-len(text)))...)
	dir, err := os.OpenRoot(a.Options.Config.DataDir)
	if err == nil {
		defer dir.Close()
		err = overwrite(dir, toldStorageFile, text)
	}
	if err != nil {
		a.Log.Warn("who was told directly is not kept over a restart", "error", err)
	}
}

func overwrite(dir *os.Root, name string, text []byte) error {
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	return errors.Join(err, f.Sync(), f.Close())
}
