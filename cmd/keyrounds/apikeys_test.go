package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/promtest"
	"github.com/keyrounds/keyrounds/test/server"
)

const theKey, anotherKey = "c4n4ry-k3y+with/signs=", "c4n4ry-an0ther-k3y"

// recursor is PowerDNS', whose API has the key.
func recursor(t *testing.T) string {
	t.Helper()
	dir, dns := t.TempDir(), server.Free(t)
	return server.Start(t, dir, "/api/v1/servers/localhost/config", "pdns_recursor", func(address string) []string {
		host, port, _ := strings.Cut(address, ":")
		_, dnsPort, _ := strings.Cut(dns, ":")
		return []string{
			"--config-dir=" + dir, "--socket-dir=" + dir, "--daemon=no", "--webserver=yes", "--webserver-address=" + host,
			"--webserver-port=" + port, "--api-key=" + theKey, "--local-address=127.0.0.1", "--local-port=" + dnsPort, "--hint-file=no",
			"--setuid=", "--setgid=", "--security-poll-suffix=",
		}
	})
}

// guardedPrometheus knows a user whose password is the key, and one whose name is.
func guardedPrometheus(t *testing.T) string {
	t.Helper()
	hash := func(password string) string {
		h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return string(h)
	}
	web := fmt.Sprintf("basic_auth_users: {ops: %q, %q: %q}\n", hash(theKey), theKey, hash(""))
	return promtest.Start(t, "global: {}\n", map[string][]byte{"web.yml": []byte(web)}, "--web.config.file=web.yml").URL
}

// Every way to send an API key works from the configuration file with every kind of reference, at servers that nobody here wrote: the
// right key works, another one is refused, and what is wrong with how we ask is not the key's fault (docs/providers.md).
func TestEveryWayOfAKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, 0)
	dns, prom := recursor(t), guardedPrometheus(t)
	config := dns + "/api/v1/servers/localhost/config"
	ways := map[string]struct{ way, probe, client string }{
		"header":   {"{header: X-API-Key}", config, ""},
		"query":    {"{query: api-key}", config, ""},
		"password": {"{basic: password}", prom + "/api/v1/status/buildinfo", "ops"},
		"username": {"{basic: username}", prom + "/api/v1/status/buildinfo", ""},
	}
	s.env = []string{"CREDENTIALS_DIRECTORY=" + s.dir}
	want := map[string]wanted{}
	var providers, credentials strings.Builder
	for name, w := range ways {
		fmt.Fprintf(&providers, "  %s: {kind: api_key, api_key: %s, allow_private_networks: true, rate: 100/s, probes: [{get: %q}]}\n",
			name, w.way, w.probe)
		client := ""
		if w.client != "" {
			client = ", client_id: " + w.client
		}
		for which, key := range map[string]string{"ok": theKey, "rejected": anotherKey} {
			id := name + "-" + which
			file, variable := s.write(id, key+"\n"), strings.ToUpper(strings.ReplaceAll(id, "-", "_"))
			s.env = append(s.env, variable+"="+key)
			for scheme, ref := range map[string]string{
				"file": "file:" + file, "env": "env:" + variable, "exec": "exec:cat " + file, "systemd": "systemd:" + id,
			} {
				want[id+"-"+scheme] = wanted{outcome: which}
				fmt.Fprintf(&credentials, "  - {name: %s-%s, provider: %s, secret: %q%s}\n", id, scheme, name, ref, client)
			}
		}
	}
	odd := func(name, provider, outcome, says string) {
		want[name] = wanted{outcome, says}
		fmt.Fprintf(&providers, "  %s: {kind: api_key, allow_private_networks: true, %s}\n", name, provider)
		fmt.Fprintf(&credentials, "  - {name: %s, provider: %s, secret: \"file:%s\"}\n", name, name, filepath.Join(s.dir, "header-ok"))
	}
	odd(
		"nothing-there",
		fmt.Sprintf("api_key: {header: X-API-Key}, probes: [{get: %q}]", dns+"/api/v1/nowhere"),
		"misconfigured",
		"nothing at the probe's URL",
	)
	odd("web-page", fmt.Sprintf("api_key: {header: X-API-Key}, probes: [{get: %q}]", dns+"/"), "intercepted", "a web page")
	odd(
		"one-of-two",
		fmt.Sprintf("api_key: {header: X-API-Key}, probes: [{get: %q}, {get: %q}]", prom+"/api/v1/status/buildinfo", config),
		"ok",
		"",
	)
	odd("away", `api_key: {header: X-API-Key}, probes: [{get: "http://`+server.Free(t)+`/"}]`, "unreachable", "")
	fmt.Fprintf(&providers, "  open: {kind: api_key, api_key: {header: X-API-Key}, allow_private_networks: true, probes: [{get: %q}]}\n",
		dns+"/api/v1/servers/localhost") // which that recursor answers to everybody
	s.write("keyrounds.yaml", fmt.Sprintf(
		"data_dir: %s/data\ndatabase: {url: %q}\nverdict: {refusals_per_hour: 0}\nproviders:\n%scredentials:\n%s",
		s.dir, pgtest.EmptyURL(t), &providers, &credentials,
	))
	sealed := map[string]string{"ok": theKey, "rejected": anotherKey}
	for which, key := range sealed {
		want["added-"+which] = wanted{outcome: which}
		s.input(key, "credentials", "add", "added-"+which, "--provider", "header", "--no-check")
		want["imported-"+which] = wanted{outcome: which}
		list, _ := json.Marshal([]map[string]any{{"name": "imported-" + which, "provider": "query", "client_secret": key}})
		s.input(string(list), "credentials", "import", "--no-check", "--format", "json", "-")
	}
	s.checkAll(want)
	out, _ := s.command("doctor", "--timeout", "5s")
	if strings.Count(out, "answers without a key as well") != 1 || !strings.Contains(out, "/servers/localhost answers without") {
		t.Errorf("doctor does not tell of the open probe alone: %s", out)
	}
	out, _ = s.command("check", "-v", "query-ok-file", "password-rejected-file")
	for _, form := range []string{theKey, anotherKey, url.QueryEscape(theKey)} {
		if strings.Contains(out, form) {
			t.Errorf("a key is shown: %s", out)
		}
	}
}
