// Package idempotency keeps for a day what was answered to requests that name themselves by a key, so that one that is sent
// again is not done again.
//
// It answers nothing itself, and keeps no request: only by its key is the same one known again.
package idempotency

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Times of a key.
const (
	keepFor  = 24 * time.Hour
	underWay = 5 * time.Minute // after this what began to answer is taken for dead
)

// The errors of Begin.
var (
	ErrOther    = errors.New("the key came with another request before")
	ErrUnderWay = errors.New("the request is still being answered")
)

// Store keeps the answers. It is safe for concurrent use, also by several replicas.
type Store struct{ pool *pgxpool.Pool }

// New makes a Store. It does not ask the database.
func New(pool *pgxpool.Pool) *Store { return &Store{pool} }

// Request is one that names itself.
type Request struct {
	Who, Key string // who asks, and what he calls it
	Content  []byte // all that makes it this one
}

// Answer is what was answered.
type Answer struct {
	Status  int
	Headers map[string]string
	Body    []byte
}

func (r Request) name() []byte {
	sum := sha256.Sum256([]byte(r.Who + "\x00" + r.Key))
	return sum[:]
}

// print is the same for the same content. Its key is stored nowhere, so nobody finds a secret in the content by guessing.
func (r Request) print() []byte {
	mac := hmac.New(sha256.New, []byte(r.Key))
	mac.Write(r.Content)
	return mac.Sum(nil)
}

// Begin says that a request begins to be answered: nil. Finish or Abandon it then. Otherwise it says what was answered to it
// before, or ErrOther, or ErrUnderWay.
func (s *Store) Begin(ctx context.Context, r Request, now time.Time) (*Answer, error) {
	if _, err := s.pool.Exec(ctx, `DELETE FROM api_answers WHERE at < $1`, now.Add(-keepFor)); err != nil {
		return nil, err
	}
	tag, err := s.pool.Exec(ctx, `
		INSERT INTO api_answers (key, request, at) VALUES ($1, $2, $3)
		ON CONFLICT (key) DO UPDATE SET request = excluded.request, at = excluded.at WHERE api_answers.status = 0 AND api_answers.at < $4`,
		r.name(), r.print(), now, now.Add(-underWay))
	if err != nil || tag.RowsAffected() > 0 {
		return nil, err
	}
	var (
		a     Answer
		print []byte
	)
	err = s.pool.QueryRow(ctx, `SELECT request, status, headers, body FROM api_answers WHERE key = $1`, r.name()).
		Scan(&print, &a.Status, &a.Headers, &a.Body)
	switch {
	case errors.Is(err, pgx.ErrNoRows): // it was abandoned just now
		return nil, ErrUnderWay
	case err != nil:
		return nil, err
	case !hmac.Equal(print, r.print()):
		return nil, ErrOther
	case a.Status == 0:
		return nil, ErrUnderWay
	}
	return &a, nil
}

// Finish keeps what was answered. It must hold no secret.
func (s *Store) Finish(ctx context.Context, r Request, a Answer) error {
	_, err := s.pool.Exec(ctx, `UPDATE api_answers SET status = $2, headers = $3, body = $4 WHERE key = $1`,
		r.name(), a.Status, a.Headers, a.Body)
	return err
}

// Abandon forgets a request that was not done: it may be sent again.
func (s *Store) Abandon(ctx context.Context, r Request) error {
	_, err := s.pool.Exec(ctx, `DELETE FROM api_answers WHERE key = $1 AND status = 0`, r.name())
	return err
}
