package leak

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/secret"
)

// Secrets that are noted while others are being stored are stored together, each is noted when Note returns, and of two of
// one credential the later one stays.
func TestNotesAreStoredTogether(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprintf("c%02d", i))
	}
	b := newBook(t, names...)
	var noting sync.WaitGroup
	note := func(name, value string) {
		noting.Go(func() {
			if err := b.Note(t.Context(), b.creds[name], secret.New([]byte(value)), b.now); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	until := func(what string, ok func() bool) {
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			b.notes.mu.Lock()
			done := ok()
			b.notes.mu.Unlock()
			if done {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("not yet: " + what)
			}
		}
	}
	waiting := func(n int) {
		until(fmt.Sprintf("%d wait", n), func() bool { return len(b.notes.waiting) == n })
	}
	until("the first secrets are stored", func() bool { return !b.notes.storing })
	b.notes.storing = true // as while others are being stored
	note("c00", "another-secret-0123456789")
	waiting(1)
	note("c00", "the-last-secret-0123456789")
	waiting(2)
	for _, name := range names[1:] {
		note(name, "another-secret-of-"+name+"-0123456789")
	}
	waiting(len(names) + 1)
	b.storeNotes(t.Context())
	noting.Wait()
	until("somebody may store the next ones", func() bool { return !b.notes.storing })
	var transactions, present, last int
	if err := b.Pool.QueryRow(t.Context(), `
		SELECT count(DISTINCT s.xmin::text) FILTER (WHERE c.name <> 'c00'), count(*)
		FROM leak_secrets s JOIN credentials c ON c.id = s.credential_id WHERE s.replaced_at IS NULL`,
	).Scan(&transactions, &present); err != nil {
		t.Fatal(err)
	}
	if transactions != 1 || present != len(names) {
		t.Errorf("%d transactions, %d present secrets; want 1 and %d", transactions, present, len(names))
	}
	p, err := b.prints(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Pool.QueryRow(t.Context(), `
		SELECT count(*) FROM leak_secrets WHERE credential_id = $1 AND replaced_at IS NULL AND fingerprint = $2`,
		b.creds["c00"].ID, p.whole("the-last-secret-0123456789")).Scan(&last); err != nil || last != 1 {
		t.Errorf("the last secret of c00 is not the present one, error %v", err)
	}
}

// A secret that was read before its credential was changed is not brought back, and those beside it are noted.
func TestANoteOfBeforeAChange(t *testing.T) {
	t.Parallel()
	b := newBook(t, "a", "b")
	stale := b.creds["a"]
	b.tx(func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE credentials SET changed_at = changed_at + interval '1 minute' WHERE name = 'a'`)
		return err
	})
	p, err := b.prints(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old, other := b.newNote(p, stale, secret.New([]byte("old-secret-0123456789")), b.now),
		b.newNote(p, b.creds["b"], secret.New([]byte("new-secret-0123456789")), b.now)
	if err := b.storeTogether(t.Context(), []*note{old, other}); err != nil || old.id != 0 || other.id == 0 {
		t.Errorf("old %d, other %d, error %v", old.id, other.id, err)
	}
}
