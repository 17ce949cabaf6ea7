package checker_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/sim"
)

// A batch of 200 checks against 200 bare POSTs of net/http with the same concurrency, in one run:
// "ratio" is how much longer the batch takes. Not timed by the machine, so it can be compared.
func BenchmarkBatch(b *testing.B) {
	const size, concurrency = 200, 16
	server := httptest.NewServer(sim.NewProvider(sim.Client{ID: "c", Secret: "s3cretvalue"}))
	defer server.Close()
	endpoint := server.URL + "/identity/oauth/token"
	p, err := checker.Provider{Name: "idp", TokenURL: endpoint, AllowPrivateNetworks: true, Rate: 1e6, Concurrency: concurrency}.Complete()
	if err != nil {
		b.Fatal(err)
	}
	var ts []checker.Target
	for range size {
		ts = append(ts, target("c", "s3cretvalue"))
	}
	c := checker.New(checker.Options{})
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"c"}, "client_secret": {"s3cretvalue"}}.Encode()
	bare := func() {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: concurrency, MaxConnsPerHost: concurrency}}
		defer client.CloseIdleConnections()
		slots, done := make(chan struct{}, concurrency), make(chan struct{})
		for range size {
			go func() {
				slots <- struct{}{}
				defer func() { <-slots; done <- struct{}{} }()
				resp, err := client.Post(endpoint, "application/x-www-form-urlencoded", strings.NewReader(form))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}()
		}
		for range size {
			<-done
		}
	}
	var ours, floor time.Duration
	for b.Loop() {
		began := time.Now()
		if rs := c.CheckAll(b.Context(), nil, p, ts); len(rs) != size || rs[0].Outcome != checker.OK {
			b.Fatalf("%d results, the first %+v", len(rs), rs[0])
		}
		ours += time.Since(began)
		began = time.Now()
		bare()
		floor += time.Since(began)
	}
	b.ReportMetric(float64(ours)/float64(floor), "ratio")
	b.ReportMetric(float64(size*b.N)/ours.Seconds(), "checks/s")
}
