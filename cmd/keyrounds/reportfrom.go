package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/report"
)

// readFrom reads a report that a daemon elsewhere has frozen. Trials are made at the database only.
func (f reportFlags) readFrom(ctx context.Context, c *client.Client) ([]byte, error) {
	if f.asOf != "" {
		return nil, elsewhere("--as-of")
	}
	month, err := monthOf(f.month, time.UTC, time.Now())
	if err != nil {
		return nil, err
	}
	q := url.Values{"format": {f.format}}
	if f.format == "table" {
		q.Set("format", "json")
	}
	if f.owner != "" {
		q.Set("owner", f.owner)
	}
	if f.edition != 0 {
		q.Set("edition", strconv.Itoa(f.edition))
	}
	var content []byte
	if err := c.Get(ctx, "/reports/"+month.String(), q, &content); err != nil || f.format != "table" {
		return content, plainly(err)
	}
	var r report.Report
	if err := json.Unmarshal(content, &r); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = printReport(&b, &r)
	return b.Bytes(), err
}
