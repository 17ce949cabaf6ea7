package idempotency_test

import (
	"errors"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/idempotency"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// A request is answered once; the same again has the answer of the first, for a day.
func TestARequestIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	s := idempotency.New(pgtest.New(t))
	r := idempotency.Request{Who: "ann", Key: "k", Content: []byte("add x")}
	begin := func(r idempotency.Request, at time.Time) (*idempotency.Answer, error) {
		return s.Begin(t.Context(), r, at)
	}
	if a, err := begin(r, noon); a != nil || err != nil {
		t.Fatal(a, err)
	}
	if _, err := begin(r, noon); !errors.Is(err, idempotency.ErrUnderWay) {
		t.Errorf("while it is answered: %v", err)
	}
	done := idempotency.Answer{Status: 201, Headers: map[string]string{"ETag": "x"}, Body: []byte("done")}
	if err := s.Finish(t.Context(), r, done); err != nil {
		t.Fatal(err)
	}
	if a, err := begin(r, noon.Add(23*time.Hour)); err != nil || a.Status != 201 || string(a.Body) != "done" || a.Headers["ETag"] != "x" {
		t.Errorf("again: %+v %v", a, err)
	}
	other := r
	other.Content = []byte("add y")
	if _, err := begin(other, noon); !errors.Is(err, idempotency.ErrOther) {
		t.Errorf("another request: %v", err)
	}
	bob := other
	bob.Who = "bob"
	if a, err := begin(bob, noon); a != nil || err != nil {
		t.Errorf("the same key of somebody else: %v %v", a, err)
	}
	if a, err := begin(r, noon.Add(25*time.Hour)); a != nil || err != nil {
		t.Errorf("a day later: %v %v", a, err)
	}
}

// What was not done may be sent again; what died while it was answered too, after five minutes.
func TestWhatWasNotDoneIsDoneAgain(t *testing.T) {
	t.Parallel()
	s := idempotency.New(pgtest.New(t))
	r := idempotency.Request{Who: "ann", Key: "k", Content: []byte("add x")}
	for _, at := range []time.Time{noon, noon.Add(6 * time.Minute)} {
		if a, err := s.Begin(t.Context(), r, at); a != nil || err != nil {
			t.Fatal(a, err)
		}
	}
	if err := s.Abandon(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if a, err := s.Begin(t.Context(), r, noon.Add(6*time.Minute)); a != nil || err != nil {
		t.Fatal(a, err)
	}
}
