package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// usage: what `keyrounds usage import` takes for the log of a gateway, beside the bare decoding of its lines by
// encoding/json.
func usage(ctx context.Context, b *bed) ([]result, error) {
	const lines, clients = 500_000, 10_000
	database, err := b.newDatabase(ctx)
	if err != nil {
		return nil, err
	}
	config, list, log := filepath.Join(b.dir, "usage.yaml"), filepath.Join(b.dir, "usage.csv"), filepath.Join(b.dir, "usage.log")
	text := gatewayLog(lines, clients, time.Now().UTC().AddDate(0, 0, -20))
	for path, content := range map[string][]byte{
		config: fmt.Appendf(nil, configuration, b.dir, database, "127.0.0.1:0", "http://127.0.0.1", 1, "127.0.0.1:0"),
		list:   credentials(fleet{credentials: clients, schedule: "@daily"}),
		log:    text,
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return nil, err
		}
	}
	out, err := b.command(ctx, database, "--config", config, "credentials", "import", "--no-check", list).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("credentials import: %w: %s", err, out)
	}
	bare, err := decoding(text)
	if err != nil {
		return nil, err
	}
	s, before := spent{n: lines}, cpu(b.postmaster)
	cmd := b.command(ctx, database, "--config", config, "usage", "import", "--provider", "bench", "--format", "nginx-json", log)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("usage import: %w: %s", err, out)
	}
	s.client, s.database = cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), cpu(b.postmaster)-before
	perSecond := func(d time.Duration) string { return fmt.Sprintf("%.0f", lines/d.Seconds()) }
	return []result{
		{"floor: bare decoding, lines a CPU second", perSecond(bare), "1", "", fmt.Sprintf("%.1f µs a line", perCheck(bare, lines))},
		{
			"usage import: lines a CPU second", perSecond(s.client + s.database),
			fmt.Sprintf("%.2f × the CPU", (s.client+s.database).Seconds()/bare.Seconds()), "60,000",
			fmt.Sprintf("program %.1f µs, Postgres %.1f µs a line", perCheck(s.client, lines), perCheck(s.database, lines)),
		},
	}, nil
}

// gatewayLog are n lines of nginx, ten a second, each of any of so many clients.
func gatewayLog(n, clients int, begin time.Time) []byte {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(1, 2))
	agents := []string{"Go-http-client/1.1", "python-requests/2.32.3", "okhttp/4.12.0", "axios/1.7.2"}
	for i := range n {
		c := r.IntN(clients)
		fmt.Fprintf(&b, `{"time_iso8601":"%s","remote_addr":"203.0.%d.%d","client_id":"client-%06d",`+
			`"request_method":"GET","request_uri":"/candidates?limit=100&offset=%d","status":%d,"body_bytes_sent":%d,`+
			`"request_time":0.042,"http_user_agent":"%s","request_id":"%016x%016x","scope":"candidates_read company_read"}`+"\n",
			begin.Add(time.Duration(i)*100*time.Millisecond).Format("2006-01-02T15:04:05+00:00"), c%7, r.IntN(30), c, r.IntN(10000),
			[]int{200, 200, 200, 404, 401}[r.IntN(5)], r.IntN(20000), agents[c%4], r.Uint64(), r.Uint64())
	}
	return b.Bytes()
}

// decoding is the CPU time that encoding/json takes for the objects of a text.
func decoding(text []byte) (time.Duration, error) {
	before := ownCPU()
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var v map[string]any
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return 0, err
		}
	}
	return ownCPU() - before, nil
}

// ownCPU is the CPU time, user and system, of this process so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
