package usage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// Rules of taking in a batch, in one transaction for all of it:
//
//  1. A Chunk and a Page go on from a stored position. If another process moved it meanwhile, nothing is
//     taken in: ErrMoved. The new position is stored with the events.
//  2. A Push and an Import have an id. One that was taken in before changes nothing: *TakenBeforeError. The id
//     of a Push is its sender's, and another content under the same id is refused; that of an Import is its content's
//     and its format's, so the file is read first, to its end. An Import may replace what its content brought before.
//  3. A Push lives, whatever is in it: its feed was watching when it came, and an empty one is a heartbeat. An
//     Import leaves its feed's own position as it is, and covers what its caller says.
//  4. A batch of which more than MostBad could not be read covers no more than its records show. Of an Import those count
//     too that do not say when they were written.

// Batch is what one transaction takes in of a feed: a Chunk, a Page, a Push or an Import.
type Batch interface {
	// readInto reads the batch and returns the feed's next position, which is any JSON, and the spans that the
	// feed is known to have watched beside those that its records show.
	readInto(ctx context.Context, in *intake) (position any, covered []feed.Span, err error)
}

// Ingest takes in a batch of f by tx: events become rows, our own checks are taken out, coverage and position
// go on. Rolling tx back takes all of it back. Batches of one provider are taken in one after the other,
// whichever replica does it.
//
// Errors to branch on: ErrUnknownFeed, ErrBusy, ErrMoved, *TakenBeforeError, and those of the batch's type.
func (s *Store) Ingest(ctx context.Context, tx pgx.Tx, f feed.Feed, b Batch, now time.Time) (Ingested, error) {
	in, err := s.begin(ctx, tx, f, now)
	if err != nil {
		return Ingested{}, err
	}
	position, covered, err := b.readInto(ctx, in)
	if err != nil {
		return Ingested{}, err
	}
	if _, isImport := b.(Import); isImport {
		in.unclear += in.noTime
	}
	if float64(in.unclear) > MostBad*float64(in.counts.Records()) {
		covered = nil // who knows what those were
	}
	return in.finish(ctx, position, covered)
}

// Chunk is a Batch of whole lines of a followed file.
type Chunk feed.Chunk

func (c Chunk) readInto(ctx context.Context, in *intake) (any, []feed.Span, error) {
	if err := in.checkFile(ctx, feed.Chunk(c)); err != nil {
		return nil, nil, err
	}
	if err := in.read(ctx, feed.Followed{Reader: bytes.NewReader(c.Text), Head: c.Head}); err != nil {
		return nil, nil, err
	}
	return struct{}{}, nil, in.moveFile(ctx, feed.Chunk(c))
}

// Page is a Batch of one answer of a log API.
type Page feed.Page

func (p Page) readInto(ctx context.Context, in *intake) (any, []feed.Span, error) {
	at, err := pollPosition(in.row.position)
	if err != nil {
		return nil, nil, err
	}
	if at.Cursor != p.Before.Cursor || !at.Until.Equal(p.Before.Until) {
		return nil, nil, ErrMoved
	}
	in.hideFrom = p.Before.Until
	overlap := in.feed.Poll.Spec.Overlap.Duration
	if fresh := p.After.Until.Sub(p.Before.Until); !p.Before.Until.IsZero() && overlap > 0 && fresh > 0 {
		in.newShare = float64(fresh) / float64(fresh+overlap)
	}
	return p.After, p.Covered, in.add(ctx, p.Reading)
}

// Push is a Batch that somebody sent.
type Push struct {
	ID         string // the sender's; "": it is known by its content
	Body       []byte // plain, gzip or zstd
	MaxBytes   int    // of the body after decompression; 0: no limit
	MaxRecords int64  // 0: no limit
	// Carried: the body has a JSON object a line, each of which carries a record (feed.Carried).
	Carried bool
	// Partly takes in what can be read, however little that is, and counts the rest as bad: its sender cannot mend it and
	// does not send it again, so that refusing it would lose it without a trace.
	Partly bool
}

// Errors of a Push.
var (
	ErrPushTooLarge   = errors.New("the push is too large")
	ErrPushUnreadable = errors.New("the push is neither plain, nor gzip, nor zstd")
	// ErrKeyReused: another content came with the same ID before. Nothing of this one was taken in.
	ErrKeyReused = errors.New("a push with another content had this key")
)

func (p Push) readInto(ctx context.Context, in *intake) (any, []feed.Span, error) {
	body, err := p.content()
	if err != nil {
		return nil, nil, err
	}
	digest := feed.DigestOf(body)
	id := cmp.Or(p.ID, digest)
	if err := in.refuseTaken(ctx, id); err != nil {
		var before *TakenBeforeError
		if errors.As(err, &before) && before.content != "" && before.content != digest {
			return nil, nil, ErrKeyReused
		}
		return nil, nil, err
	}
	in.most = p.MaxRecords
	var text io.Reader = bytes.NewReader(body)
	if p.Carried {
		text = feed.Carried{Reader: text}
	}
	if err := in.read(ctx, text); err != nil {
		return nil, nil, err
	}
	records, bad := in.counts.Records(), in.counts[ResultBad]
	switch {
	case p.MaxRecords > 0 && records > p.MaxRecords:
		return nil, nil, ErrPushTooLarge
	case float64(bad) > MostUnread*float64(records) && !p.Partly: // it can be sent again, mended
		return nil, nil, in.unreadError()
	}
	return struct{}{}, []feed.Span{{From: in.now, To: in.now}}, in.noteBatch(ctx, id, digest)
}

// content is the body, decompressed.
func (p Push) content() ([]byte, error) {
	body, err := feed.Decompress(bytes.NewReader(p.Body))
	if err != nil {
		return nil, ErrPushUnreadable
	}
	if p.MaxBytes > 0 {
		body = io.LimitReader(body, int64(p.MaxBytes)+1)
	}
	content, err := io.ReadAll(body)
	switch {
	case err != nil:
		return nil, ErrPushUnreadable
	case p.MaxBytes > 0 && len(content) > p.MaxBytes:
		return nil, ErrPushTooLarge
	}
	return content, nil
}

// Import is a Batch of a file that somebody brought. Its id is the digest of its content, decompressed, and its
// format. A compressed file that is cut off is refused (feed.ErrCut), and so is one that is not understood
// (*UnreadError).
type Import struct {
	Name   string      // for errors
	In     io.Reader   // plain, gzip or zstd
	Detect bool        // in the format that it looks like (feed.Detect), rather than that of the feed
	Covers []feed.Span // that it shows every use of
	// Replace takes back what the same content brought before, in whatever format, and takes it in again: its
	// feed.ContentDigest. "": a content that was taken in before is refused. *NotTakenError where there is nothing to replace.
	Replace string
	// With are the digests of the files that are replaced together with this one.
	With []string
}

func (i Import) readInto(ctx context.Context, in *intake) (any, []feed.Span, error) {
	if err := in.mayLast(ctx); err != nil {
		return nil, nil, err
	}
	if i.Detect {
		guess, again, err := feed.Detect(ctx, i.In)
		if err == nil {
			in.feed.Format, err = feed.NewFormat(guess.Preset.Name, "")
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", i.Name, err)
		}
		i.In = again
	}
	in.ids, in.undone = &eventIDs{days: map[int64]*idsOfDay{}}, map[monthKey]bool{}
	if i.Replace != "" {
		var err error
		if in.replaced, err = in.takeBack(ctx, i.Replace, i.With); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", i.Name, err)
		}
	}
	packed, content, err := feed.DecompressDigested(i.In)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: it is neither plain, nor gzip, nor zstd: %w", i.Name, err)
	}
	if err := in.read(ctx, content); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", i.Name, err)
	}
	for _, rest := range []io.Reader{content, packed} { // what is after a broken document or the end of a compressed stream
		if _, err := io.Copy(io.Discard, rest); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", i.Name, err)
		}
	}
	if i.Replace != "" && i.Replace != content.String() {
		return nil, nil, fmt.Errorf("%s: it changed while it was read: nothing was taken in or taken back", i.Name)
	}
	id := content.String() + " " + in.feed.Format.Key()
	for _, before := range []string{id, packed.String()} { // the latter is how files were known once
		if err := in.refuseTaken(ctx, before); err != nil {
			return nil, nil, err
		}
	}
	if err := in.refuseUnread(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", i.Name, err)
	}
	return json.RawMessage(in.row.position), i.Covers, in.noteBatch(ctx, id, content.String())
}

// UnreadError says that a file was not understood: nothing of it was taken in, and it can be brought again.
type UnreadError struct {
	Format       string
	Records, Bad int64
	Sample       feed.Bad // the last that could not be read; empty: all are about something else
}

func (e *UnreadError) Error() string {
	text := fmt.Sprintf("%d of %d records could be read as %s", e.Records-e.Bad, e.Records, e.Format)
	if e.Bad == 0 {
		text = fmt.Sprintf("none of %d records is about a client, read as %s", e.Records, e.Format)
	}
	if e.Sample.Reason != "" {
		text += ": " + e.Sample.Reason
	}
	return text
}

// Hint says what to do.
func (e *UnreadError) Hint() string {
	return "nothing was taken in; keyrounds usage try FILE says what it looks like"
}

// MostUnread is the share of a file's records that may be bad; beyond it the file is refused.
const MostUnread = 0.5

// refuseUnread is *UnreadError where nothing of a batch was understood, or less than half.
func (in *intake) refuseUnread() error {
	records, bad := in.counts.Records(), in.counts[ResultBad]
	understood := records - bad - in.counts[ResultSkipped]
	if records == 0 || understood > 0 && float64(bad) <= MostUnread*float64(records) {
		return nil
	}
	return in.unreadError()
}

func (in *intake) unreadError() *UnreadError {
	e := &UnreadError{Format: in.feed.Format.Name, Records: in.counts.Records(), Bad: in.counts[ResultBad]}
	if n := len(in.samples); n > 0 {
		e.Sample = in.samples[n-1]
	}
	return e
}

// TakenBeforeError says that a Push or an Import was taken in already, and what came of it then.
type TakenBeforeError struct {
	ID     string
	At     time.Time
	Counts Counts

	content string // its digest; "": not known
}

func (e *TakenBeforeError) Error() string {
	return fmt.Sprintf("it was taken in already, on %s", e.At.UTC().Format("2 Jan 2006 15:04 MST"))
}

// refuseTaken is *TakenBeforeError where a batch of that id was taken in already.
func (in *intake) refuseTaken(ctx context.Context, id string) error {
	var (
		before = TakenBeforeError{ID: id}
		raw    []byte
	)
	err := in.tx.QueryRow(ctx, `SELECT taken_at, counts, content FROM usage_batches WHERE feed = $1 AND batch_id = $2`, in.feed.Name, id).
		Scan(&before.At, &raw, &before.content)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	if err := json.Unmarshal(raw, &before.Counts); err != nil {
		return err
	}
	return &before
}

// noteBatch notes that a batch was taken in, with what came of it so far.
func (in *intake) noteBatch(ctx context.Context, id, content string) error {
	counts, err := json.Marshal(in.counts)
	if err != nil {
		return err
	}
	in.batch = id
	_, err = in.tx.Exec(ctx, `INSERT INTO usage_batches (feed, batch_id, taken_at, counts, content) VALUES ($1, $2, $3, $4, $5)`,
		in.feed.Name, id, in.now, counts, content)
	return err
}

// mayLast lets the transaction last: for imports, which read while it is open.
func (in *intake) mayLast(ctx context.Context) error {
	_, err := in.tx.Exec(ctx, `
		SET LOCAL idle_in_transaction_session_timeout = 0;
		SET LOCAL statement_timeout = '10min';
		SET LOCAL lock_timeout = '1min'`)
	return err
}

// read takes in a text. Where it breaks, what is after that counts as a record that cannot be read.
func (in *intake) read(ctx context.Context, text io.Reader) error {
	err := in.feed.Format.Read(ctx, text, func(r feed.Reading) error { return in.add(ctx, r) })
	var broken *feed.BrokenError
	if errors.As(err, &broken) && in.ids == nil { // of a file all is wanted
		return nil
	}
	return err
}
