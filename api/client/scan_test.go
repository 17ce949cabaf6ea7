package client_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// An archive is sent while it is written, and again where the daemon says so.
func TestArchive(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	c := of(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		text, err := io.ReadAll(r.Body)
		if r.URL.Path != "/api/v1/scans" || r.Header.Get("Authorization") != "Bearer "+token || string(text) != "abc" || err != nil {
			t.Errorf("%s %v %q %v", r.URL, r.Header, text, err)
		}
		_, _ = io.WriteString(w, `{"members": 3}`)
	})
	var out struct{ Members int }
	write := func(w io.Writer) error {
		_, err := io.WriteString(w, "abc")
		return err
	}
	if err := c.Archive(t.Context(), "/scans", write, &out); err != nil || out.Members != 3 {
		t.Errorf("%+v %v", out, err)
	}
}

// An answer that comes before the end of an archive is what is told, and so is why an archive could not be written.
func TestArchiveThatEndsEarly(t *testing.T) {
	t.Parallel()
	c := of(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, `{"detail": "More than it takes."}`)
	})
	endless := func(w io.Writer) error {
		for {
			if _, err := io.WriteString(w, strings.Repeat("x", 1000)); err != nil {
				return err
			}
		}
	}
	if err := c.Archive(t.Context(), "/scans", endless, nil); err == nil || err.Error() != "More than it takes" {
		t.Errorf("%v", err)
	}
	reads := of(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	wanted := errors.New("git is gone")
	if err := reads.Archive(t.Context(), "/scans", func(io.Writer) error { return wanted }, nil); !errors.Is(err, wanted) {
		t.Errorf("%v", err)
	}
}
