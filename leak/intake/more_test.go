package intake

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The reports of more tools are known by themselves, and their secret and its place are read.
func TestMoreReports(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"detect-secrets.json": "detect-secrets", "gitlab.json": "gitlab", "ggshield.json": "ggshield", "noseyparker.jsonl": "noseyparker",
		"kingfisher.json": "kingfisher", "gitleaks.csv": "csv",
	} {
		content, err := os.ReadFile(filepath.Join("testdata", "reports", name))
		if err != nil {
			t.Fatal(err)
		}
		format, all, err := reports(t, "", content)
		if err != nil || format != want || len(all) != 1 {
			t.Errorf("%s: format %q, %d findings, %v", name, format, len(all), err)
			continue
		}
		r := all[0]
		known := r.SHA1 != "" || slices.ContainsFunc(append(r.Values, r.Texts...), func(v string) bool {
			return strings.Contains(v, "SECRET-OF-THE-TEST")
		})
		if !known || r.Path != "config/app.env" || r.Line != 3 || want != "detect-secrets" && want != "csv" && r.Commit == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// However a report has a secret, it is among the values, or at least in the texts that are searched.
func TestFormsInReports(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"SECRET-OF-THE-TEST", "robot:SECRET-OF-THE-TEST", "Basic cm9ib3Q6U0VDUkVULU9GLVRIRS1URVNU",
		"https://robot:SECRET-OF-THE-TEST@example.com/",
		`client_secret = "SECRET-OF-THE-TEST"`, "secret=SECRET%2DOF-THE-TEST", "U0VDUkVULU9GLVRIRS1URVNU",
	} {
		match := strings.ReplaceAll(text, `"`, `\"`)
		_, all, err := reports(t, "", []byte(`[{"RuleID":"generic","Secret":"other-other","Match":"`+match+`"}]`))
		if err != nil || len(all) != 1 {
			t.Fatalf("%s: %v", text, err)
		}
		if !slices.Contains(all[0].Values, "SECRET-OF-THE-TEST") && !strings.Contains(text, "@") {
			t.Errorf("%s: values %q", text, all[0].Values)
		}
		if !slices.Contains(all[0].Texts, text) {
			t.Errorf("%s: texts %q", text, all[0].Texts)
		}
	}
}

// What is no report is refused, also a list or an object of something else.
func TestUnknownReports(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`[{"name":"x","value":"hunter2-hunter2"}]`, `{"hunter2-hunter2":1}`, `[1,2]`, `"x"`, "a,b\n1,2\n", "hello",
	} {
		_, _, err := reports(t, "", []byte(text))
		const words = "this is no report that keyrounds knows: "
		if err == nil || !strings.HasPrefix(err.Error(), words) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, _, err := reports(t, "gitleaks", []byte(`[{"name":"hunter2-hunter2"}]`)); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a list of something else as gitleaks: %v", err)
	}
}

// Where trufflehog found something stays, whatever kind of place that is.
func TestTrufflehogsPlaces(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"Slack":{"channel_id":"C1","channel_name":"ops","link":"https://acme.slack.com/x","user":"u"}}`: "#ops|u",
		`{"Docker":{"image":"example.com/app","tag":"1.2","file":"/a.env","layer":"ab"}}`:                 "example.com/app:1.2|/a.env ab",
		`{"S3":{"bucket":"backups","file":"db/dump.sql"}}`:                                                "backups|db/dump.sql",
		`{"GCS":{"bucket":"backups","filename":"dump.sql"}}`:                                              "backups|dump.sql",
		`{"Jenkins":{"project_name":"deploy","build_number":17,"link":"https://ci"}}`:                     "deploy|build 17",
		`{"TravisCI":{"repository":"acme/x","build_number":"9","job_number":"9.1"}}`:                      "acme/x|build 9 9.1",
		`{"Filesystem":{"file":"/srv/a","line":3}}`:                                                       "Filesystem|/srv/a",
	} {
		_, all, err := reports(t, "", []byte(`{"SourceMetadata":{"Data":`+data+`},"DetectorName":"X","Raw":"some-secret-value"}`))
		if err != nil || len(all) != 1 || all[0].Source+"|"+all[0].Path != want {
			t.Errorf("%s: %v, %+v; wanted %s", data, err, all, want)
		}
	}
}

// A further place of an alert of GitHub is told with the alert's secret.
func TestAlertLocation(t *testing.T) {
	t.Parallel()
	h := http.Header{"X-Github-Event": {"secret_scanning_alert_location"}}
	body := []byte(`{"action":"created","alert":{"number":7},"location":{"type":"commit","details":{"path":"a/b.env","start_line":4,
		"commit_sha":"abc"}},"repository":{"full_name":"acme/x"}}`)
	all, err := Webhook{Type: GitHub}.Read(t.Context(), h, body,
		func(context.Context, string, bool) ([]byte, error) {
			return []byte(`{"secret":"SECRET-OF-THE-TEST"}`), nil
		})
	if err != nil || len(all) != 1 || all[0].Path != "a/b.env" || all[0].Line != 4 || all[0].Commit != "abc" ||
		!slices.Contains(all[0].Values, "SECRET-OF-THE-TEST") {
		t.Errorf("%v, %+v", err, all)
	}
}
