package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// Metrics says what /metrics shows. Config has PerCredential and a limit of 1,000 where the file says nothing.
type Metrics struct {
	PerCredential bool
	Match         map[string]string // only of credentials with these labels
	Labels        []string          // of credentials, shown as label_NAME
	Limit         int               // credentials with series of their own
	Exemplars     bool
}

// Heartbeat tells another monitor that the rounds go on. The zero value: none does.
type Heartbeat struct {
	URL   secret.Reference
	Every time.Duration
}

// observability reads what those who run keyrounds watch it by.
func (b *builder) observability(c *Config, f File) {
	if f.Metrics != nil {
		b.metrics(&c.Metrics, *f.Metrics)
	}
	if f.Log != nil && f.Log.Level != "" {
		levels := []string{"debug", "info", "warn", "error"}
		if !slices.Contains(levels, f.Log.Level) || c.LogLevel.UnmarshalText([]byte(f.Log.Level)) != nil {
			b.fail("log.level", DidYouMean(f.Log.Level, levels), "unknown level %q", f.Log.Level)
		}
	}
	if f.Debug != nil {
		host, port, err := net.SplitHostPort(f.Debug.Listen)
		if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 || !Loopback(host) {
			b.fail("debug.listen", "127.0.0.1:6060; profiles are for those on this machine", "not a loopback address with a port")
		}
		c.DebugListen = f.Debug.Listen
	}
	if f.Heartbeat != nil {
		c.Heartbeat.Every = time.Minute
		b.duration("heartbeat.every", f.Heartbeat.Every, &c.Heartbeat.Every)
		if c.Heartbeat.Every < time.Second {
			b.fail("heartbeat.every", "1m is usual", "%s is out of range: 1s or more", c.Heartbeat.Every)
		}
		var err error
		if c.Heartbeat.URL, err = secret.ParseReference(f.Heartbeat.URL); err != nil || c.Heartbeat.URL.Scheme() == secret.SchemeSealed {
			b.fail(
				"heartbeat.url",
				"env:HEARTBEAT_URL or another reference: whoever knows the URL can pretend that keyrounds lives",
				"not a reference",
			)
		}
	}
}

func (b *builder) metrics(m *Metrics, in MetricsIn) {
	if in.PerCredential != nil {
		m.PerCredential = *in.PerCredential
	}
	m.Match, m.Exemplars = in.Match, in.Exemplars
	for i, l := range in.Labels {
		path := fmt.Sprintf("metrics.labels.%d", i)
		switch {
		case !credential.ValidLabel(l):
			b.fail(path, "letters, digits and underscores", "%q is not a label name", l)
		case slices.Contains(m.Labels, l):
			b.fail(path, "", "the label %q is given twice", l)
		}
		m.Labels = append(m.Labels, l)
	}
	if in.Limit != nil {
		m.Limit = *in.Limit
		if m.Limit < 1 || m.Limit > 1_000_000 {
			b.fail("metrics.limit", "per_credential: false shows none", "%d is out of range: from 1 to 1000000", m.Limit)
		}
	}
}
