package exposure

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/leak/scan"
	"github.com/keyrounds/keyrounds/postgres"
)

// The bounds of a search for somebody else.
const (
	MostSearched = 512 << 20 // bytes of its members
	MostMembers  = 100_000
	MostSearches = 2 // at once; others wait

	searchTime   = 5 * time.Minute
	waitToSearch = 20 * time.Second
)

// Why a search was not done. Their texts are for whoever asked.
var (
	ErrSearchTooLarge = fmt.Errorf("more than %d MiB, or %d members, are not searched at once", MostSearched>>20, MostMembers)
	ErrSearchTooLong  = fmt.Errorf("the search took more than %v, or what is to be searched came too slowly", searchTime)
	ErrSearchBusy     = fmt.Errorf("%d searches are under way, and none of them ended within %v", MostSearches, waitToSearch)
	ErrNoTar          = errors.New("what is to be searched is no tar archive of regular files, or it broke off")
)

// Place is where a member of what was searched has a secret. It has no part of that.
type Place struct {
	Member     int // which one, from 0
	Hit        scan.Hit
	Credential credential.Credential
}

// Searched is the result of a search for somebody else.
type Searched struct {
	Members     int
	Bytes       int64 // unpacked
	Places      []Place
	NotSearched []NotSearched
	Unreadable  int // secrets that could not be looked for, because they cannot be read, or are too short
}

// NotSearched is what of a member was not searched, or not whole.
type NotSearched struct {
	Member int
	scan.Skipped
}

// Search looks in the members of a tar archive, and in their names, for the secrets of all credentials that sees allows, also for
// replaced ones that are kept. It opens no finding and keeps nothing: neither what it read nor what it found.
//
// Its errors are those above, and those of the database.
func (x *Exposure) Search(ctx context.Context, r io.Reader, sees func(credential.Credential) bool) (Searched, error) {
	if err := x.turn(ctx); err != nil {
		return Searched{}, err
	}
	defer func() { <-x.searches }()
	creds, err := x.Registry.List(ctx, true)
	if err != nil {
		return Searched{}, postgres.Plain(err)
	}
	byName := map[string]credential.Credential{}
	for _, c := range creds {
		if sees(c) {
			byName[c.Name] = c
		}
	}
	terms, unreadable, err := x.Terms(ctx)
	if err != nil {
		return Searched{}, postgres.Plain(err)
	}
	terms = slices.DeleteFunc(terms, func(t scan.Term) bool {
		_, theirs := byName[t.Credential]
		return !theirs || t.Kind != scan.Secret
	})
	scanner, short := scan.NewScanner(terms, scan.Options{Workers: 1})
	done := Searched{Unreadable: len(short)}
	for name := range unreadable {
		if _, theirs := byName[name]; theirs {
			done.Unreadable++
		}
	}
	limited, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	done.Members, err = searchMembers(limited, scanner, r)
	switch {
	case ctx.Err() != nil:
		return Searched{}, ctx.Err()
	case limited.Err() != nil:
		return Searched{}, ErrSearchTooLong
	case err != nil:
		return Searched{}, err
	}
	done.add(scanner.Found(), byName)
	return done, nil
}

// turn waits until there is room for another search.
func (x *Exposure) turn(ctx context.Context) error {
	timer := time.NewTimer(waitToSearch)
	defer timer.Stop()
	select {
	case x.searches <- struct{}{}:
		return nil
	case <-timer.C:
		return ErrSearchBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

// searchMembers searches each member of a tar archive under its number.
func searchMembers(ctx context.Context, s *scan.Scanner, r io.Reader) (n int, err error) {
	left := &ration{r: r, left: MostSearched + 1024*int64(MostMembers)} // with a header for each
	in := tar.NewReader(left)
	size := int64(0)
	for ; ; n++ {
		h, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case ctx.Err() != nil:
			return n, ctx.Err()
		case err != nil:
			return n, whatOf(err)
		}
		if size += max(0, h.Size); n == MostMembers || size > MostSearched {
			return n, ErrSearchTooLarge
		}
		if h.Typeflag != tar.TypeReg || sparse(h) {
			return n, ErrNoTar
		}
		if err := s.Member(ctx, strconv.Itoa(n), h.Name, in); err != nil {
			return n, whatOf(err)
		}
	}
}

// sparse: a file with holes, which a small archive can have of any size.
func sparse(h *tar.Header) bool {
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// whatOf is why an archive could not be read. What its reader says may have a part of it.
func whatOf(err error) error {
	if errors.Is(err, ErrSearchTooLarge) {
		return ErrSearchTooLarge
	}
	return ErrNoTar
}

// add takes over what was found, with whose it is.
func (d *Searched) add(f scan.Found, byName map[string]credential.Credential) {
	d.Bytes = f.Bytes
	for _, h := range f.Hits {
		n, _ := strconv.Atoi(h.Source)
		d.Places = append(d.Places, Place{n, h, byName[h.Credential]})
	}
	slices.SortStableFunc(d.Places, func(a, b Place) int { return a.Member - b.Member })
	for _, k := range f.Skipped {
		number, rest, _ := strings.Cut(k.Path, "/")
		n, _ := strconv.Atoi(number)
		k.Path = rest
		d.NotSearched = append(d.NotSearched, NotSearched{n, k})
	}
	slices.SortStableFunc(d.NotSearched, func(a, b NotSearched) int { return a.Member - b.Member })
}

// ration ends what it reads where it is too much.
type ration struct {
	r    io.Reader
	left int64
}

func (r *ration) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, ErrSearchTooLarge
	}
	n, err := r.r.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	return n, err
}
