package checker_test

import (
	"fmt"
	"net/http"

	"github.com/keyrounds/keyrounds/checker"
)

// A provider says that it does not know the client: by which rule that is read, and what it means.
func ExampleClassify() {
	p, err := checker.Provider{Name: "okta", Preset: "okta", TokenURL: "https://example.okta.com/oauth2/v1/token"}.Complete()
	if err != nil {
		fmt.Println(err)
		return
	}
	r := checker.Classify(p, checker.Response{
		Status: http.StatusUnauthorized,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   []byte(`{"error":"invalid_client","error_description":"Invalid value for 'client_id' parameter."}`),
	})
	fmt.Println(r.Outcome, r.Reason)
	// A gateway's trouble says nothing of the client.
	r = checker.Classify(p, checker.Response{Status: http.StatusServiceUnavailable, Body: []byte(`{"error":"invalid_client"}`)})
	fmt.Println(r.Outcome)
	// Output:
	// rejected unknown_client
	// provider_error
}
