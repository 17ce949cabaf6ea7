// Command floor does the least that a monitor of credentials must: it exchanges -n credentials, -c at once, and stores
// a row for each in Postgres by COPY. It is the limit that keyrounds is compared with.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

type row struct {
	credential int64
	at         time.Time
	status     int
	took       time.Duration
	scope      string
}

func main() {
	endpoint := flag.String("url", "http://127.0.0.1:9500/token", "token endpoint")
	n := flag.Int("n", 10_000, "exchanges")
	c := flag.Int("c", 64, "at once")
	database := flag.String("database", "", "URL")
	flag.Parse()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, *database)
	if err == nil {
		_, err = conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS floor (
			credential_id bigint NOT NULL, at timestamptz NOT NULL, outcome text NOT NULL, status int NOT NULL, latency_us int NOT NULL,
			scopes text[])`)
	}
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *c, MaxConnsPerHost: *c}, Timeout: 10 * time.Second}
	work, rows := make(chan int, *c), make(chan row, 1024)
	var asking, storing sync.WaitGroup
	storing.Go(func() { store(ctx, conn, rows) })
	began := time.Now()
	for range *c {
		asking.Go(func() {
			for i := range work {
				r, err := exchange(client, *endpoint, i)
				if err != nil {
					log.Fatal(err)
				}
				rows <- r
			}
		})
	}
	for i := range *n {
		work <- i
	}
	close(work)
	asking.Wait()
	close(rows)
	storing.Wait()
	fmt.Println(time.Since(began).Seconds())
}

func exchange(client *http.Client, endpoint string, i int) (r row, err error) {
	at := time.Now()
	form := url.Values{
		"client_id": {"client-" + strconv.Itoa(i)}, "client_secret": {"s3cret-s3cret-s3cret"}, "grant_type": {"client_credentials"},
	}
	resp, err := client.Post(endpoint, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	var token struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
		Scope       string `json:"scope"`
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil {
		err = json.Unmarshal(body, &token)
	}
	return row{int64(i), at, resp.StatusCode, time.Since(at), token.Scope}, err
}

// store copies 500 rows at a time.
func store(ctx context.Context, conn *pgx.Conn, rows <-chan row) {
	columns := []string{"credential_id", "at", "outcome", "status", "latency_us", "scopes"}
	for open := true; open; {
		var some [][]any
		for len(some) < 500 {
			var r row
			if r, open = <-rows; !open {
				break
			}
			some = append(some, []any{r.credential, r.at, "ok", r.status, r.took.Microseconds(), strings.Fields(r.scope)})
		}
		if _, err := conn.CopyFrom(ctx, pgx.Identifier{"floor"}, columns, pgx.CopyFromRows(some)); err != nil {
			log.Fatal(err)
		}
	}
}
