package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// Ctrl-C at a check has what is under way end and be recorded, begins nothing more, and says what was not checked.
func TestAnInterruptedCheck(t *testing.T) {
	lasting.Test(t, "it runs keyrounds as a process")
	t.Parallel()
	asked := make(chan struct{}, 10)
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		if strings.HasPrefix(r.PostFormValue("client_id"), "slow") {
			time.Sleep(3 * time.Second)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token": "x", "token_type": "bearer", "expires_in": 1799}`))
	}))
	defer idp.Close()
	dir := pgtest.Dir(t)
	file := dir + "/keyrounds.yaml"
	text := `
data_dir: ` + dir + `
database: {url: "file:` + dir + `/database"}
providers: {idp: {token_url: "` + idp.URL + `/token", allow_private_networks: true, concurrency: 1}}
credentials:
  - {name: slow-1, provider: idp, client_id: slow-1, secret: "file:` + dir + `/secret"}
  - {name: slow-2, provider: idp, client_id: slow-2, secret: "file:` + dir + `/secret"}
`
	for name, content := range map[string]string{"database": pgtest.EmptyURL(t), "secret": goodSecret, "keyrounds.yaml": text} {
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	cmd := exec.Command("keyrounds", "check", "-c", file)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	code, said := cmd.ProcessState.ExitCode(), out.String()
	if code != exitInterrupted || !strings.Contains(said, "1 checked; not checked: slow-") ||
		!strings.Contains(said, "token issued") || len(asked) > 0 {
		t.Errorf("exit %d, %d more asked\n%s", code, len(asked), out.String())
	}
	list, err := exec.Command("keyrounds", "credentials", "list", "-c", file, "-o", "csv", "--columns", "name,status").Output()
	if err != nil || strings.Count(string(list), "healthy") != 1 || strings.Count(string(list), "pending") != 1 {
		t.Errorf("%v\n%s", err, list)
	}
}

// So it is beside a daemon, which is told to begin nothing more.
func TestAnInterruptedCheckBesideADaemon(t *testing.T) {
	lasting.Test(t, "it runs keyrounds as a daemon")
	t.Parallel()
	var slow atomic.Bool
	asked := make(chan string, 20)
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slow.Load() {
			asked <- r.PostFormValue("client_id")
			time.Sleep(3 * time.Second)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token": "x", "token_type": "bearer", "expires_in": 1799}`))
	}))
	defer idp.Close()
	dir, err := os.MkdirTemp("", "ks") // a short path, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := dir + "/keyrounds.yaml"
	text := `
data_dir: ` + dir + `
listen: 127.0.0.1:0
database: {url: "file:` + dir + `/database"}
defaults: {schedule: "@every 24h"}
providers: {idp: {token_url: "` + idp.URL + `/token", allow_private_networks: true, concurrency: 1}}
credentials:
  - {name: slow-1, provider: idp, client_id: slow-1, secret: "file:` + dir + `/secret"}
  - {name: slow-2, provider: idp, client_id: slow-2, secret: "file:` + dir + `/secret"}
  - {name: slow-3, provider: idp, client_id: slow-3, secret: "file:` + dir + `/secret"}
`
	for name, content := range map[string]string{"database": pgtest.EmptyURL(t), "secret": goodSecret, "keyrounds.yaml": text} {
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	daemon := exec.Command("keyrounds", "run", "-c", file)
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		_ = daemon.Wait()
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		list, _ := exec.Command("keyrounds", "credentials", "list", "-c", file, "-o", "csv", "--columns", "status").Output()
		if strings.Count(string(list), "healthy") == 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s", list)
		}
	}
	slow.Store(true)
	var out bytes.Buffer
	cmd := exec.Command("keyrounds", "check", "-c", file)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(out.String(), "1 checked; not checked: slow-") ||
		!strings.Contains(out.String(), "token issued") {
		t.Errorf("exit %d\n%s", code, out.String())
	}
	time.Sleep(time.Second)
	if n := len(asked); n > 0 {
		t.Errorf("%d more were begun", n)
	}
	// The daemon itself is told to end meanwhile: that is not the database's fault.
	out.Reset()
	cmd = exec.Command("keyrounds", "check", "-c", file, "slow-1")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitError || !strings.Contains(out.String(), "the daemon stops") {
		t.Errorf("exit %d\n%s", code, out.String())
	}
}
