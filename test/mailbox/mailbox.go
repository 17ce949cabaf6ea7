// Package mailbox is a mail server for the tests, which nobody here wrote: Mailpit, a program and module of its own in the directory of its
// name.
package mailbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/test/server"
)

// program is Mailpit, made in bin/ once for all tests of a process; several processes may be at it together.
var program = sync.OnceValues(func() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	here := filepath.Dir(file)
	made := filepath.Join(here, "..", "..", "bin", "mailpit")
	if err := os.MkdirAll(filepath.Dir(made), 0o755); err != nil {
		return "", err
	}
	mine := made + "-" + strconv.Itoa(os.Getpid())
	cmd := exec.Command("go", "build", "-o", mine, ".")
	cmd.Dir, cmd.Stderr = filepath.Join(here, "mailpit"), os.Stderr
	if err := cmd.Run(); err != nil {
		return "", err
	}
	return made, os.Rename(mine, made)
})

// Server is a running Mailpit.
type Server struct {
	t    testing.TB
	url  string
	SMTP string // its address
}

// Start runs Mailpit with more arguments until the test ends.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	lasting.Test(t, "it builds and runs Mailpit")
	mailpit, err := program()
	if err != nil {
		t.Fatalf("Mailpit: %v", err)
	}
	s := &Server{t: t, SMTP: server.Free(t)}
	s.url = server.Start(t, t.TempDir(), "/readyz", mailpit, func(address string) []string {
		return append([]string{
			"--listen", address, "--smtp", s.SMTP, "--disable-version-check", "--smtp-disable-rdns", "--smtp-strict-rfc-headers",
		}, args...)
	})
	return s
}

// Mail is one as Mailpit read it.
type Mail struct {
	ID          string
	MessageID   string
	From        mail.Address
	To          []mail.Address
	Subject     string
	Text        string
	HTML        string
	Attachments []struct {
		PartID   string
		FileName string
	}
	Header map[string][]string
	Raw    string
}

// Mails are those that it has, the newest first.
func (s *Server) Mails() (list []Mail) {
	s.t.Helper()
	var all struct{ Messages []struct{ ID string } }
	s.read("/api/v1/messages?limit=500", &all)
	for _, each := range all.Messages {
		m := Mail{}
		s.read("/api/v1/message/"+each.ID, &m)
		s.read("/api/v1/message/"+each.ID+"/headers", &m.Header)
		m.Raw = string(s.get("/api/v1/message/" + each.ID + "/raw"))
		list = append(list, m)
	}
	return list
}

// Attachment is the content of one.
func (s *Server) Attachment(m Mail, i int) []byte {
	s.t.Helper()
	return s.get("/api/v1/message/" + m.ID + "/part/" + m.Attachments[i].PartID)
}

// Trouble has it answer a part of the conversation (Sender, Recipient or Authentication) with a code, each time; 0: as it should. It
// needs --enable-chaos.
func (s *Server) Trouble(with string, code int) {
	s.t.Helper()
	triggers := map[string]any{}
	if code != 0 {
		triggers[with] = map[string]int{"ErrorCode": code, "Probability": 100}
	}
	body, err := json.Marshal(triggers)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPut, s.url+"/api/v1/chaos", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	s.do(req)
}

func (s *Server) read(path string, into any) {
	s.t.Helper()
	if err := json.Unmarshal(s.get(path), into); err != nil {
		s.t.Fatalf("Mailpit: %s: %v", path, err)
	}
}

func (s *Server) get(path string) []byte {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.do(req)
}

func (s *Server) do(req *http.Request) []byte {
	s.t.Helper()
	client := http.Client{}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatalf("Mailpit: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("Mailpit: %s: HTTP %d %s, %v", req.URL.Path, resp.StatusCode, body, err)
	}
	return body
}
