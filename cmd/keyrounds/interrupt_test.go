package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
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
