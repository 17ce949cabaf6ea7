package usage_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// logLines are n lines of an nginx log of 1,000 clients.
func logLines(n int, begin time.Time) []byte {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(1, 2))
	agents := []string{"Go-http-client/1.1", "python-requests/2.32.3", "okhttp/4.12.0", "axios/1.7.2"}
	for i := range n {
		c := r.IntN(1000)
		fmt.Fprintf(&b, `{"time_iso8601":"%s","remote_addr":"203.0.%d.%d","client_id":"cid-%04d",`+
			`"request_method":"GET","request_uri":"/candidates?limit=100&offset=%d","status":%d,"body_bytes_sent":%d,`+
			`"request_time":0.042,"http_user_agent":"%s","request_id":"%016x%016x","scope":"candidates_read company_read"}`+"\n",
			begin.Add(time.Duration(i)*100*time.Millisecond).Format("2006-01-02T15:04:05+00:00"), c%7, r.IntN(30), c, r.IntN(10000),
			[]int{200, 200, 200, 404, 401}[r.IntN(5)], r.IntN(20000), agents[c%4], r.Uint64(), r.Uint64())
	}
	return b.Bytes()
}

const benchLines = 500_000

// Ten million lines are this many times as long: what is measured is lines a second, the heap at its
// largest, and how many times as long the bare decoding of the same JSON by encoding/json takes.
func BenchmarkImport(b *testing.B) {
	var cs []credential.Credential
	for i := range 1000 {
		cs = append(cs, client(int64(i+1), fmt.Sprintf("cid-%04d", i)))
	}
	d := newDesk(b, cs...)
	text := logLines(benchLines, d.now.AddDate(0, 0, -20))
	began := time.Now()
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		var v map[string]any
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			b.Fatal(err)
		}
	}
	bare := time.Since(began)
	b.SetBytes(int64(len(text)))
	heap, n := uint64(0), 0
	for b.Loop() {
		n++
		f := d.feed(feed.OfImports("p", d.format("nginx-json")))
		in := io.MultiReader(strings.NewReader(strings.Repeat("\n", n)), &sampled{bytes.NewReader(text), &heap, 0}) // never the same twice
		_, err := d.ingest(f, usage.Import{Name: "log", In: in})
		if err != nil {
			b.Fatal(err)
		}
	}
	took := b.Elapsed() / time.Duration(n)
	b.ReportMetric(benchLines/took.Seconds(), "lines/s")
	b.ReportMetric(float64(heap)/(1<<20), "MiB-heap")
	b.ReportMetric(took.Seconds()/bare.Seconds(), "of-bare-decoding")
}

// sampled notes the largest heap while it is read.
type sampled struct {
	io.Reader
	heap *uint64
	n    int
}

func (s *sampled) Read(p []byte) (int, error) {
	if s.n++; s.n%64 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		*s.heap = max(*s.heap, m.HeapInuse)
	}
	return s.Reader.Read(p)
}
