package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/exposure"
)

// Rules of a search for whoever asks:
//
//  1. What is sent is read as it comes, and is kept nowhere: in no table, file or log, and under no Idempotency-Key.
//  2. The answer names places and credentials: no secret, no part of one, no fingerprint. Secrets in names are masked.
//  3. Who sees the credentials of some owners has the secrets of those looked for, and learns of no other.

const (
	scansPath = prefix + "/v1/scans"
	tarType   = "application/x-tar"

	scanReads = 30 * time.Second // how long the next part of a body may take
	scanTakes = 10 * time.Minute // all of it, with the answer
)

// ScanJSON is what a search found. It says of the secrets only where they are.
type ScanJSON struct {
	Members     int               `json:"members" doc:"How many members of the archive were searched."`
	Bytes       int64             `json:"bytes" doc:"How many bytes those are, as they are unpacked."`
	Places      []ScanPlace       `json:"places" nullable:"false" doc:"Where secrets are."`
	NotSearched []ScanNotSearched `json:"not_searched" nullable:"false" doc:"What was not searched, or not whole."`
	Unreadable  int               `json:"not_looked_for" doc:"How many secrets were not looked for: they cannot be read, or are short."`
}

// ScanPlace is where a secret is.
type ScanPlace struct {
	Member     int    `json:"member" doc:"Which member of the archive, from 0."`
	Name       string `json:"name" doc:"What it is called, and behind !/ what in it; secrets are masked."`
	Line       *int   `json:"line" doc:"From 1; null: the secret is in the name."`
	Encoding   string `json:"encoding" doc:"How it is written: plain, base64, url and so on, from the outside in."`
	Credential string `json:"credential"`
	Provider   string `json:"provider"`
	Owner      string `json:"owner"`
	Former     bool   `json:"former" doc:"It was replaced since."`
}

// ScanNotSearched is what was not searched, or not whole.
type ScanNotSearched struct {
	Member int    `json:"member"`
	Name   string `json:"name"`
	Reason string `json:"reason" doc:"In a word: encrypted, not_opened, broken, too_much and so on."`
	Why    string `json:"why" doc:"In a sentence."`
}

type scanOut struct{ Body ScanJSON }

// scanIn is a body that is read while it is searched.
type scanIn struct {
	length int64 // -1: not known
	media  string
	body   io.Reader
}

// Resolve is for huma.
func (in *scanIn) Resolve(ctx huma.Context) []error {
	r, w := humago.Unwrap(ctx)
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Now().Add(scanTakes))
	in.length, in.body = r.ContentLength, arriving{r.Body, rc}
	in.media, _, _ = strings.Cut(r.Header.Get("Content-Type"), ";")
	return nil
}

// arriving reads a body for as long as something comes.
type arriving struct {
	io.Reader
	rc *http.ResponseController
}

func (a arriving) Read(p []byte) (int, error) {
	_ = a.rc.SetReadDeadline(time.Now().Add(scanReads))
	return a.Reader.Read(p)
}

// ofTar has an operation take a tar archive, which its function reads itself.
func (do operation) ofTar(what string) operation {
	return func(s *server, op huma.Operation) {
		op.RequestBody = &huma.RequestBody{Required: true, Description: what, Content: map[string]*huma.MediaType{
			tarType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
		}}
		do(s, op)
	}
}

const aboutScan = "A tar archive of regular files, up to 512 MiB and 100,000 of them. " +
	"Contents and names are searched, and containers in them opened."

// scan looks for the secrets that whoever asks may know of in what he sends.
func (s *server) scan(ctx context.Context, in *scanIn) (*scanOut, error) {
	switch {
	case in.media != tarType:
		return nil, problem(http.StatusUnsupportedMediaType, "The body is no tar archive: send one with Content-Type: "+tarType+".")
	case in.length > exposure.MostSearched+1024*exposure.MostMembers:
		return nil, scanProblem(exposure.ErrSearchTooLarge)
	}
	who := asking(ctx)
	done, err := s.Search(ctx, in.body, func(c credential.Credential) bool { return who.Sees(c.Owner) })
	if err != nil {
		return nil, scanProblem(err)
	}
	if len(done.Places) > 0 {
		s.Log.Info("a search found registered secrets", "who", who.Name, "members", done.Members, "places", len(done.Places))
	}
	return &scanOut{newScanJSON(done)}, nil
}

// scanProblem tells why a search was not done; what is no reason of its own stays as it is.
func scanProblem(err error) error {
	for reason, p := range map[error]*Problem{
		exposure.ErrNoTar: {Status: http.StatusBadRequest, Hint: "send a tar archive of regular files, whole"},
		exposure.ErrSearchTooLarge: {
			Status: http.StatusRequestEntityTooLarge,
			Hint:   "send it in parts; what is larger itself: keyrounds leaks scan, on the daemon's machine",
		},
		exposure.ErrSearchTooLong: {Status: http.StatusRequestEntityTooLarge, Hint: "send it in smaller parts"},
		exposure.ErrSearchBusy:    {Status: http.StatusTooManyRequests, Hint: "send it again", after: 5},
	} {
		if errors.Is(err, reason) {
			p.Type, p.Title, p.Detail = "about:blank", http.StatusText(p.Status), strings.ToUpper(reason.Error()[:1])+reason.Error()[1:]+"."
			return p
		}
	}
	return err
}

func newScanJSON(done exposure.Searched) ScanJSON {
	j := ScanJSON{
		Members: done.Members, Bytes: done.Bytes, Unreadable: done.Unreadable,
		Places: []ScanPlace{}, NotSearched: []ScanNotSearched{},
	}
	for _, p := range done.Places {
		j.Places = append(j.Places, ScanPlace{
			p.Member, p.Hit.Path, orNull(p.Hit.Line), string(p.Hit.Encoding), p.Credential.Name, p.Credential.Provider,
			p.Credential.Owner, p.Hit.Former,
		})
	}
	for _, n := range done.NotSearched {
		j.NotSearched = append(j.NotSearched, ScanNotSearched{n.Member, n.Path, string(n.Reason), n.Why})
	}
	return j
}
