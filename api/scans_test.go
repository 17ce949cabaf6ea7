package api_test

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/exposure"
)

// tarOf is an archive of files: names and contents in turn.
func tarOf(t testing.TB, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: files[i], Size: int64(len(files[i+1])), Format: tar.FormatPAX})
		if err == nil {
			_, err = w.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// scan sends an archive, and returns what was found in it.
func (h *house) scan(archive, who string) (found api.ScanJSON) {
	h.Helper()
	a := h.ask("POST", "/v1/scans", archive, "Ask", who, "Content-Type", "application/x-tar")
	if err := json.Unmarshal(a.body, &found); err != nil || a.StatusCode != http.StatusOK {
		h.Fatalf("HTTP %d: %v\n%s", a.StatusCode, err, a.body)
	}
	return found
}

// Secrets in contents, in containers and in names are found, and the answer says where, and nothing of what they are.
func TestScan(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	inner := tarOf(t, "b/app.env", "\nSECRET="+base64.StdEncoding.EncodeToString([]byte(canary)))
	found := h.scan(tarOf(t,
		"fine.txt", "nothing of ours, but \x1b[31m",
		"a.env", "x\ny\nsecret: "+canary,
		"release.tar", inner,
		"backup-"+canary+".txt", "",
		"odd\nname \xff.txt", canary,
		"../../etc/passwd", strings.Repeat("x", 1<<20)+canary,
	), "admin")
	if found.Members != 6 || found.Unreadable != 0 || len(found.NotSearched) != 0 {
		t.Errorf("%+v", found)
	}
	places := map[string]int{}
	for _, p := range found.Places {
		line := 0
		if p.Line != nil {
			line = *p.Line
		}
		places[fmt.Sprintf("%d %s %d %s", p.Member, p.Name, line, p.Encoding)]++
	}
	for _, want := range []string{
		"1 a.env 3 plain", "2 release.tar!/b/app.env 2 base64", "3 backup-*****.txt 0 plain", "4 odd\nname \ufffd.txt 1 plain",
		"5 ../../etc/passwd 1 plain",
	} {
		if places[want] != 4 { // of all four credentials, which have the same secret
			t.Errorf("%q is there %d times: %v", want, places[want], places)
		}
	}
	if !strings.Contains(h.log.text(), `"who":"user admin"`) || strings.Contains(h.log.text(), "a.env") {
		t.Errorf("the log: %s", h.log.text())
	}
}

// Nothing of a search stays: no finding, no evidence, nothing in a table or the log, and nothing under a key
// (docs/promises.md#what-a-hook-sends-is-kept-nowhere).
func TestScanKeepsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	found := h.scan(tarOf(t, "of-the-sender.env", canary+" text-of-the-sender"), "scanner")
	if len(found.Places) == 0 {
		t.Fatal("nothing was found")
	}
	for _, text := range []string{canary, "of-the-sender"} {
		h.inNoTable(text)
		if strings.Contains(h.log.text(), text) {
			t.Errorf("the log has %q: %s", text, h.log.text())
		}
	}
	for _, path := range []string{"/v1/findings", "/v1/leaks", "/v1/proofs"} {
		if p := into[page](h, path); p.Total != 0 {
			t.Errorf("%s: %v", path, p.Items)
		}
	}
	a := h.ask("POST", "/v1/scans", tarOf(t, "a", canary), "Content-Type", "application/x-tar", "Idempotency-Key", "k-1")
	if a.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("with a key: HTTP %d", a.StatusCode)
	}
}

// An owner's search finds his own secrets, and tells nothing of others; a scanner's finds all.
func TestScanOfAnOwner(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	archive := tarOf(t, "a.env", canary)
	for who, want := range map[string]string{
		"owner web": "[web-a web-b]", "owner hr": "[]", "scanner": "[ops-a ops-b web-a web-b]", "responder": "[ops-a ops-b web-a web-b]",
	} {
		var names []string
		for _, p := range h.scan(archive, who).Places {
			names = append(names, p.Credential)
		}
		if got := fmt.Sprint(names); got != want {
			t.Errorf("%s: %s, want %s", who, got, want)
		}
	}
	for _, who := range []string{"viewer", "nobody"} {
		a := h.ask("POST", "/v1/scans", archive, "Ask", who, "Content-Type", "application/x-tar")
		if want := map[string]int{"viewer": 403, "nobody": 401}[who]; a.StatusCode != want {
			t.Errorf("%s: HTTP %d", who, a.StatusCode)
		}
	}
}

// What is no archive of files is refused in words, and so is what is too large, before it is read.
func TestScanOfWhatIsNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var holes bytes.Buffer
	w := tar.NewWriter(&holes)
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "/etc/passwd"})
	_ = w.Close()
	whole := tarOf(t, "a.env", canary)
	for name, c := range map[string]struct {
		body, media string
		want        int
		says        string
	}{
		"JSON":       {`{}`, "application/json", http.StatusUnsupportedMediaType, "application/x-tar"},
		"no archive": {canary + strings.Repeat("x", 600), "application/x-tar", http.StatusBadRequest, "no tar archive"},
		"broken off": {whole[:515], "application/x-tar", http.StatusBadRequest, "broke off"},
		"a link":     {holes.String(), "application/x-tar", http.StatusBadRequest, "regular files"},
	} {
		a := h.ask("POST", "/v1/scans", c.body, "Content-Type", c.media)
		if a.StatusCode != c.want || !strings.Contains(string(a.body), c.says) {
			t.Errorf("%s: HTTP %d: %s", name, a.StatusCode, a.body)
		}
	}
	var large bytes.Buffer
	w = tar.NewWriter(&large)
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: exposure.MostSearched + 1})
	a := h.ask("POST", "/v1/scans", large.String(), "Content-Type", "application/x-tar")
	if a.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(a.body), "512 MiB") {
		t.Errorf("too large: HTTP %d: %s", a.StatusCode, a.body)
	}
}

// So many searches are made at once, and others wait for their turn.
func TestScansTakeTurns(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	begun, end := make(chan struct{}), make(chan struct{})
	for range exposure.MostSearches {
		go func() {
			_, _ = h.Exposure.Search(t.Context(), &slow{begun: begun, end: end}, all)
		}()
		<-begun
	}
	done := make(chan error)
	go func() {
		_, err := h.Exposure.Search(t.Context(), strings.NewReader(tarOf(t, "a", canary)), all)
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(50 * time.Millisecond): // it may only be late
	}
	close(end)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func all(credential.Credential) bool { return true }

// slow is an archive that does not come until end.
type slow struct {
	begun chan<- struct{}
	end   <-chan struct{}
	once  sync.Once
}

func (s *slow) Read([]byte) (int, error) {
	s.once.Do(func() { s.begun <- struct{}{} })
	<-s.end
	return 0, io.ErrUnexpectedEOF
}
