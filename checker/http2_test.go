package checker_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// rawServer accepts TLS connections and hands each to serve, with its number.
func rawServer(t *testing.T, proto string, serve func(n int32, c net.Conn)) checker.Provider {
	t.Helper()
	own := newCert(t, "idp", nil, time.Now().Add(time.Hour))
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{own.tls()}, NextProtos: []string{proto}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var n atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(n.Add(1), c)
			}()
		}
	}()
	return at(t, "https://"+l.Addr().String()+"/token", func(p *checker.Provider) { p.TLS.CAFile = writeCA(t, own.Certificate) })
}

func writeCA(t *testing.T, c *x509.Certificate) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// frames speaks HTTP/2 so far that a request is there: f goes on with the stream's number.
func frames(c net.Conn, settings []http2.Setting, f func(fr *http2.Framer, stream uint32)) {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil {
		return
	}
	fr := http2.NewFramer(c, c)
	_ = fr.WriteSettings(settings...)
	for {
		frame, err := fr.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = fr.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			f(fr, frame.StreamID)
		}
	}
}

func token(fr *http2.Framer, stream uint32) {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	_ = e.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: b.Bytes(), EndHeaders: true})
	_ = fr.WriteData(stream, true, []byte(`{"access_token":"t"}`))
}

// An HTTP/2 server that misbehaves costs bounded time, says nothing of the credential, and gets one safe retry
// only where it says that it did nothing (docs/promises.md#a-misbehaving-http2-server-costs-bounded-time).
func TestHostileHTTP2(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		settings []http2.Setting
		serve    func(n int32, fr *http2.Framer, stream uint32)
		want     []checker.Outcome
		conns    int32
	}{
		{"as it should be", nil, func(_ int32, fr *http2.Framer, s uint32) { token(fr, s) }, []checker.Outcome{checker.OK}, 1},
		{"GOAWAY before processing", nil, func(n int32, fr *http2.Framer, s uint32) {
			if n == 1 {
				_ = fr.WriteGoAway(0, http2.ErrCodeNo, nil)
				return
			}
			token(fr, s)
		}, []checker.Outcome{checker.OK}, 2},
		{"reset", nil, func(_ int32, fr *http2.Framer, s uint32) {
			_ = fr.WriteRSTStream(s, http2.ErrCodeInternal)
		}, []checker.Outcome{checker.Unreachable, checker.Malformed}, 1},
		{
			"no window",
			[]http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}},
			func(int32, *http2.Framer, uint32) {},
			[]checker.Outcome{checker.Unreachable},
			1,
		},
		{"CONTINUATION without end", nil, func(_ int32, fr *http2.Framer, s uint32) {
			var b bytes.Buffer
			e := hpack.NewEncoder(&b)
			_ = e.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
			_ = e.WriteField(hpack.HeaderField{Name: "x", Value: string(bytes.Repeat([]byte("y"), 8000))})
			_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: s, BlockFragment: b.Bytes()})
			for range 10000 {
				b.Reset()
				_ = e.WriteField(hpack.HeaderField{Name: "x", Value: string(bytes.Repeat([]byte("z"), 8000)), Sensitive: true})
				if fr.WriteContinuation(s, false, b.Bytes()) != nil {
					return
				}
			}
		}, []checker.Outcome{checker.Unreachable, checker.Malformed}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var conns atomic.Int32
			p := rawServer(t, "h2", func(n int32, conn net.Conn) {
				conns.Store(n)
				frames(conn, c.settings, func(fr *http2.Framer, s uint32) { c.serve(n, fr, s) })
			})
			r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", "s3cretvalue"))
			if !slices.Contains(c.want, r.Outcome) || conns.Load() != c.conns {
				t.Errorf("%d connections, %+v", conns.Load(), r)
			}
		})
	}
}

// Headers that come byte by byte end with the time of a check
// (docs/promises.md#slow-headers-end-with-the-time-of-a-check).
func TestSlowHeaders(t *testing.T) {
	lasting.Test(t, "it waits for a timeout")
	t.Parallel()
	p := rawServer(t, "http/1.1", func(_ int32, c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil { // an answer before the question is another fault
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
		for {
			if _, err := io.WriteString(c, "y"); err != nil {
				return
			}
			time.Sleep(300 * time.Millisecond)
		}
	})
	r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", "s3cretvalue"))
	if r.Outcome != checker.Unreachable || r.Reason != checker.TimedOut {
		t.Errorf("%+v", r)
	}
}

// Connections do not pile up (docs/promises.md#connections-do-not-pile-up).
func TestNoConnectionIsLeft(t *testing.T) {
	p := serve(
		t,
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"access_token":"t"}`) }),
		func(p *checker.Provider) { p.Rate = 10000 },
	)
	open := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	check := checker.New(checker.Options{})
	ts := slices.Repeat([]checker.Target{target("c", "s3cretvalue")}, 500)
	check.CheckAll(t.Context(), nil, p, ts)
	before := open()
	for range 8 {
		check.CheckAll(t.Context(), nil, p, ts)
	}
	// The other tests of this package do not run beside this one; the server closes its ends later.
	if after := open(); after > before+2*p.Concurrency {
		t.Errorf("%d descriptors after 4,000 checks, %d before", after, before)
	}
}
