package leak

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/leak/scan"
)

// How a scan ended is kept as it was, with what it did not search and what the next one may leave out.
func TestSourceState(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	if mine, err := b.ClaimSource(t.Context(), "wiki", b.now, time.Hour); err != nil || !mine {
		t.Fatal(mine, err)
	}
	want := SourceState{
		Scanned: b.now, Took: time.Second, Bytes: 7, Found: 3, Skipped: 2, Next: b.now.Add(time.Hour), Whole: b.now.Add(-time.Hour),
		NotSearched: map[scan.Reason]int{scan.Shallow: 1, scan.Encrypted: 1},
		LeftOut:     []scan.Skipped{{Path: "x", Reason: scan.Shallow, Why: "y", Named: true}},
		Tips:        map[string][]string{"/srv/wiki": {"abc"}}, Registry: []byte("print"), FoundBefore: 2,
	}
	if err := b.Scanned(t.Context(), "wiki", want, true); err != nil {
		t.Fatal(err)
	}
	all, err := b.Sources(t.Context())
	got := all["wiki"]
	got.Scanned, got.Next, got.Whole = got.Scanned.UTC(), got.Next.UTC(), got.Whole.UTC()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
}

// The fingerprint of what is looked for changes with it, and not with its order; no secret is in it.
func TestRegistryPrint(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	one := scan.Term{Credential: "a", Kind: scan.Secret, Value: "c4n4ry-one"}
	two := scan.Term{Credential: "b", Kind: scan.Secret, Value: "two"}
	printOf := func(terms ...scan.Term) []byte {
		p, err := b.RegistryPrint(t.Context(), terms)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := printOf(one, two)
	if !bytes.Equal(first, printOf(two, one)) || bytes.Equal(first, printOf(one)) || bytes.Contains(first, []byte("c4n4ry")) {
		t.Error("the fingerprint does not say what is looked for")
	}
	two.Value = "three"
	if bytes.Equal(first, printOf(one, two)) {
		t.Error("the fingerprint is the same for another secret")
	}
}
