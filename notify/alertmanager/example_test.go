package alertmanager_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/alertmanager"
	"github.com/keyrounds/keyrounds/outbound"
)

// A finding as an Alertmanager gets it.
func ExampleReceiver_Send() {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var alerts []struct{ Labels map[string]string }
		_ = json.NewDecoder(r.Body).Decode(&alerts)
		l := alerts[0].Labels
		fmt.Println(r.URL.Path, l["alertname"], l["severity"], l["credential"])
	}))
	defer server.Close()
	client, err := outbound.Client(outbound.Policy{AllowPrivate: true, Timeout: 5 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := alertmanager.New(alertmanager.Options{Name: "am", URL: server.URL, Client: client, Now: time.Now})
	fs := []finding.Finding{notify.Sample(finding.ScopeLost, time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))}
	_, err = r.Send(context.Background(), notify.Message{Key: "7-1", Findings: fs, Words: notify.DescribeAll(fs)})
	fmt.Println(err)
	// Output:
	// /api/v2/alerts KeyroundsScopeLost warning sample-credential
	// <nil>
}
