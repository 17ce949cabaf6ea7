package pgtest

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Bridge is a network between a test and the server that fails as it is told.
type Bridge struct {
	socket   string
	listener net.Listener

	mu      sync.Mutex
	healed  *sync.Cond
	refuse  bool
	black   bool
	commits bool
	conns   map[net.Conn]bool
}

// Through returns a Bridge and the URL of the same database through it.
func Through(t testing.TB, databaseURL string) (*Bridge, string) {
	t.Helper()
	c, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &Bridge{socket: fmt.Sprintf("%s/.s.PGSQL.%d", c.Host, c.Port), listener: l, conns: map[net.Conn]bool{}}
	b.healed = sync.NewCond(&b.mu)
	t.Cleanup(func() {
		_ = l.Close()
		b.Cut()
		b.Heal()
	})
	go b.accept()
	return b, "postgres://" + l.Addr().String() + "/" + c.Database + "?" +
		url.Values{"user": {c.User}, "password": {c.Password}, "sslmode": {"disable"}}.Encode()
}

// Cut closes every connection and refuses new ones, until Heal.
func (b *Bridge) Cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = true
	for c := range b.conns {
		_ = c.Close()
	}
}

// Blackhole passes nothing on and closes nothing, until Heal.
func (b *Bridge) Blackhole() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.black = true
}

// Heal makes all work again.
func (b *Bridge) Heal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse, b.black = false, false
	b.healed.Broadcast()
}

// LoseCommit lets the next commit of results reach the server, and closes its connection in the
// place of the answer.
func (b *Bridge) LoseCommit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.commits = true
}

// CommitLost reports whether that has happened.
func (b *Bridge) CommitLost() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.commits
}

func (b *Bridge) accept() {
	for {
		client, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		refuse := b.refuse
		b.mu.Unlock()
		server, err := net.Dial("unix", b.socket)
		if err != nil || refuse {
			_ = client.Close()
			continue
		}
		b.mu.Lock()
		b.conns[client], b.conns[server] = true, true
		b.mu.Unlock()
		results := false // were copied since the last commit
		go b.pass(client, server, func(sent []byte) bool {
			results = results || bytes.Contains(sent, []byte(`copy "checks"`))
			if !results || !bytes.Contains(sent, []byte("commit")) {
				return true
			}
			results = false
			b.mu.Lock()
			defer b.mu.Unlock()
			lose := b.commits
			b.commits = false
			return !lose
		})
		go b.pass(server, client, func([]byte) bool { return true })
	}
}

// pass copies until one side ends, or goesOn says so of what was just sent.
func (b *Bridge) pass(from, to net.Conn, goesOn func([]byte) bool) {
	defer func() {
		_, _ = from.Close(), to.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.conns, from)
		delete(b.conns, to)
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		b.mu.Lock()
		for b.black {
			b.healed.Wait()
		}
		b.mu.Unlock()
		last := !goesOn(buf[:n])
		if last { // before the server can answer
			if tcp, ok := from.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = from.Close()
		}
		if _, err := to.Write(buf[:n]); err != nil || last {
			return
		}
	}
}
