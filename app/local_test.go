package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/audit"
)

// askSocket sends a request over a socket, and returns the status and the answer.
func askSocket(ctx context.Context, socket, method, path string, form url.Values) (int, string, error) {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	r, err := http.NewRequestWithContext(ctx, method, "http://keyrounds"+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", os.Getenv("KEYROUNDS_TEST_AUTHORIZATION"))
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// TestAskAsAnother is no test but the other end of TestTheSocket, as another user.
func TestAskAsAnother(t *testing.T) {
	socket := os.Getenv("KEYROUNDS_TEST_SOCKET")
	if socket == "" {
		t.Skip("it is a part of TestTheSocket")
	}
	for _, path := range []string{"/metrics", "/people"} {
		status, body, err := askSocket(t.Context(), socket, http.MethodGet, path, nil)
		if errors.Is(err, syscall.EACCES) {
			fmt.Printf("%s: no permission\n", path)
			continue
		}
		fmt.Printf("%s: %d %v", path, status, err)
		if status >= 400 {
			fmt.Printf(" %s", strings.TrimSpace(body))
		}
		fmt.Println()
	}
}

// On the socket somebody is who the kernel says: root is an admin, a member of the group a responder, everybody else is refused.
func TestTheSocket(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	group, err := user.LookupGroup("games")
	if err != nil {
		t.Skip(err)
	}
	gid, _ := strconv.Atoi(group.Gid)
	dir, err := os.MkdirTemp("", "ks")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "k.sock")
	o := newOffice(t, time.Now(), "access: {people: true, socket_group: games, socket: "+socket+"}")
	o.await("ready", func() bool { return o.get("/readyz") == http.StatusOK })

	status, body, err := askSocket(t.Context(), socket, http.MethodPost, "/people", url.Values{"name": {"ann"}, "role": {"viewer"}})
	if err != nil || status != http.StatusOK || !strings.Contains(body, "shown this once") {
		t.Errorf("root adds a person: %d %v %s", status, err, body)
	}
	if people, err := o.app.Access.People(t.Context()); err != nil || len(people) != 1 || people[0].AddedBy != "user root (uid 0)" {
		t.Errorf("%+v %v", people, err)
	}

	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "ask")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	ask := func(uid, gid uint32) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestAskAsAnother$")
		cmd.Dir = "/"
		cmd.Env = []string{"KEYROUNDS_TEST_SOCKET=" + socket, "KEYROUNDS_TEST_AUTHORIZATION=Bearer kr_wrong"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return string(out)
	}
	const somebody = 1 // daemon, on every Unix
	if got := ask(somebody, uint32(gid)); !strings.Contains(got, "/metrics: 200") || !strings.Contains(got, "/people: 403") ||
		!strings.Contains(got, "your role (responder)") {
		t.Errorf("a member of the group: %s", got)
	}
	if got := ask(somebody, 1); strings.Count(got, "no permission") != 2 {
		t.Errorf("who is no member: %s", got)
	}
	if err := os.Chmod(socket, 0o666); err != nil { // by mistake
		t.Fatal(err)
	}
	for _, uid := range []uint32{somebody, 65534} {
		if got := ask(uid, 1); strings.Count(got, ": 403") != 2 || !strings.Contains(got, fmt.Sprintf("(uid %d)", uid)) {
			t.Errorf("who is no member, and reaches it: %s", got)
		}
	}
	es, err := o.app.Audit.Log(t.Context(), audit.Record{})
	if err != nil || !strings.HasPrefix(es[0].Actor, "user nobody (uid 65534)") || es[0].Action != "access.refused" ||
		!strings.Contains(string(es[0].Detail), `"address": "socket"`) {
		t.Errorf("%+v %v", es[0], err)
	}
	o.app.Stop()
	if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is left behind: %v", err)
	}
}

// Without access the socket is in data_dir, acting needs it, and a data_dir whose name is too long costs the socket alone.
func TestActingNeedsTheSocket(t *testing.T) {
	t.Parallel()
	long := newOffice(t, time.Now(), "") // its data_dir has the name of this test twice
	short, err := os.MkdirTemp("", "ks")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	o := newOffice(t, time.Now(), "access: {socket: "+filepath.Join(short, "k.sock")+"}")
	if status := o.get("/metrics"); status != http.StatusOK {
		t.Errorf("anybody looks: %d", status)
	}
	if status := o.ask(http.MethodPost, "/people", func(*http.Request) {}); status != http.StatusForbidden {
		t.Errorf("anybody acts: %d", status)
	}
	status, _, err := askSocket(t.Context(), filepath.Join(short, "k.sock"), http.MethodGet, "/people", nil)
	if err != nil || status != http.StatusOK {
		t.Errorf("the daemon's user: %d %v", status, err)
	}
	if _, err := access.ListenSocket(filepath.Join(short, "k.sock"), ""); !errors.Is(err, access.ErrSocketTaken) {
		t.Errorf("another daemon: %v", err)
	}
	dir := long.app.Config().DataDir
	_, err = os.Lstat(filepath.Join(dir, "keyrounds.sock"))
	if tooLong := len(dir)+len("/keyrounds.sock") > 107; tooLong != (err != nil) ||
		tooLong != strings.Contains(long.log.String(), "the path of the socket is too long") {
		t.Errorf("a data_dir of %d bytes: %v", len(dir), err)
	}
}
