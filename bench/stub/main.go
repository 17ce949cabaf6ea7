// Command stub is a token endpoint for measurements: POST /token answers every client with a token, after -latency.
// GET /stats says how many requests there were, how many at once at most, and what CPU time they took.
package main

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"log"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	address := flag.String("listen", "127.0.0.1:9500", "address")
	latency := flag.Duration("latency", 0, "before each answer")
	flag.Parse()
	var requests, now, most atomic.Int64
	http.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		for n, was := now.Add(1), most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
		}
		defer now.Add(-1)
		if r.FormValue("client_id") == "" || r.FormValue("client_secret") == "" {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		time.Sleep(*latency)
		token := make([]byte, 0, 16)
		for range 2 {
			n := rand.Uint64()
			for shift := 0; shift < 64; shift += 8 {
				token = append(token, byte(n>>shift))
			}
		}
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		_, _ = w.Write([]byte(`{"access_token":"DCRD10-` + hex.EncodeToString(token) + `","token_type":"bearer","expires_in":1799}`))
	})
	http.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"requests": requests.Load(), "at_once": most.Swap(0),
			"cpu_seconds": time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds(),
		})
	})
	server := &http.Server{Addr: *address, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
