package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Access is the tables of people, sessions and tokens, and who a request is from. It is safe for concurrent use, also by
// several replicas. Its methods have a transaction of their own.
type Access struct {
	Options
	settings atomic.Pointer[Settings]
	hashing  hashing
	noted    noted
	issuers  issuers
}

// Options are options of New. Pool, Record and Log are required.
type Options struct {
	Pool *pgxpool.Pool
	// Record writes into the record of who did what, in tx. detail holds no secret.
	Record func(ctx context.Context, tx pgx.Tx, actor, act, subject string, detail any) error
	Log    *slog.Logger
	Cost   Cost             // of passwords that are set; zero: DefaultCost
	Now    func() time.Time // default time.Now
}

// Settings are what a reload can change.
type Settings struct {
	People   bool            // local people sign in with a password
	Issuers  []Issuer        // who else vouches for people
	Base     string          // where people reach the pages; issuers send them back there
	Basic    map[string]Role // of users of web_config; who is not in it is a viewer
	Idle     time.Duration   // a session that is not used so long ends; 0: 12 h
	Lifetime time.Duration   // a session ends so long after its beginning; 0: 7 days
}

// SignIn reports whether people sign in.
func (s Settings) SignIn() bool { return s.People || len(s.Issuers) > 0 }

// admits reports whether who signs in by an issuer, or with a password where that is "", may still be here.
func (s *Settings) admits(issuer string) bool {
	if issuer == "" {
		return s.People
	}
	return slices.ContainsFunc(s.Issuers, func(i Issuer) bool { return i.URL == issuer })
}

// New makes an Access. It does not ask the database, and there is nothing to close.
func New(o Options, s Settings) *Access {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Cost == (Cost{}) {
		o.Cost = DefaultCost
	}
	a := &Access{Options: o, hashing: newHashing(o.Cost)}
	a.Reload(s)
	return a
}

// Reload takes other settings. Who is signed in stays so.
func (a *Access) Reload(s Settings) {
	if s.Idle == 0 {
		s.Idle = 12 * time.Hour
	}
	if s.Lifetime == 0 {
		s.Lifetime = 7 * 24 * time.Hour
	}
	a.settings.Store(&s)
}

// Settings are those in force. They are shared: do not change them.
func (a *Access) Settings() *Settings { return a.settings.Load() }

// The errors that callers tell apart. None says more to whoever guesses than that he is wrong.
var (
	ErrNobody   = errors.New("nobody is signed in")
	ErrRefused  = errors.New("the sign-in is refused")
	ErrNotFound = errors.New("there is none of this name")
	ErrTaken    = errors.New("the name is taken")
	ErrBusy     = errors.New("too many passwords are tried at the moment")
)

// InputError is what somebody gave and cannot be taken. Its text is for him.
type InputError struct{ Text string }

func (e *InputError) Error() string { return e.Text }

// newID is 256 random bits as text, and its hash.
func newID() (id string, hash []byte) {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // which never fails
	id = base64.RawURLEncoding.EncodeToString(b)
	return id, hashOf(id)
}

func hashOf(id string) []byte {
	sum := sha256.Sum256([]byte(id))
	return sum[:]
}

func (a *Access) inTx(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, a.Pool, f)
}
