package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"
)

// Less than this is free: a warning, and a failure.
const (
	littleDisk = 1 << 30
	noDisk     = 100 << 20
)

// disk says what is free where data_dir is.
func (p *patient) disk(context.Context) []remark {
	r := remark{Check: "disk", Result: fine}
	dir := p.config.DataDir
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir) // it is made at the first start
	}
	free, err := diskFree(dir)
	switch {
	case err != nil:
		r.Result, r.Message = warning, fmt.Sprintf("what is free for %s cannot be told: %v", p.config.DataDir, err)
		r.Advice = "look at the permissions of the directories above it"
		return []remark{r}
	case free < noDisk:
		r.Result = failed
	case free < littleDisk:
		r.Result = warning
	}
	r.Message = fmt.Sprintf("%.1f GiB are free for data_dir (%s)", float64(free)/(1<<30), p.config.DataDir)
	if r.Result != fine {
		r.Advice = "make room there, or choose a shorter retention; without room nothing can be stored"
	}
	return []remark{r}
}

// daemon asks the one on this machine whether it is ready.
func (p *patient) daemon(ctx context.Context) []remark {
	r := remark{Check: "daemon", Result: fine}
	switch answer, err := askReady(ctx, p.config); {
	case errors.Is(err, errNoDaemon):
		r.Result, r.Message = warning, err.Error()
		r.Advice = "keyrounds run starts one; nothing is checked without it, unless another machine does"
	case errors.Is(err, errSignIn):
		r.Message = err.Error() + ": whether it is ready it says only to who signs in, or on debug.listen"
	case err != nil:
		r.Result, r.Message, r.Advice = failed, err.Error(), "see the log of the daemon; does something else listen there?"
	case answer != "":
		r.Result, r.Message, r.Advice = failed, "the daemon is not ready: "+answer, "see the log of the daemon"
	default:
		r.Message = "it is ready"
	}
	return []remark{r}
}

// Certificates that end sooner than this: a warning.
const certificateSoon = 14 * 24 * time.Hour

// certificate says when that of the pages ends, where they are served by TLS.
func (p *patient) certificate(context.Context) []remark {
	r := remark{Check: "certificate", Subject: "pages", Result: failed, Advice: "correct web_config; keyrounds does not start with it"}
	if p.config.WebConfig == "" {
		return nil
	}
	text, err := os.ReadFile(p.config.WebConfig)
	if err != nil {
		r.Message = unnamed(err).Error()
		return []remark{r}
	}
	var web struct {
		TLS struct {
			File   string `yaml:"cert_file"`
			Inline string `yaml:"cert"`
		} `yaml:"tls_server_config"`
	}
	if yaml.Unmarshal(text, &web) != nil {
		r.Message = p.config.WebConfig + " is not YAML"
		return []remark{r}
	}
	name, content := "the certificate in "+p.config.WebConfig, []byte(web.TLS.Inline)
	switch {
	case web.TLS.File == "" && web.TLS.Inline == "":
		return nil // no TLS
	case web.TLS.File != "":
		name = web.TLS.File
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(p.config.WebConfig), name)
		}
		if content, err = os.ReadFile(name); err != nil {
			r.Message = fmt.Sprintf("%s: %v", name, unnamed(err))
			return []remark{r}
		}
	}
	block, _ := pem.Decode(content)
	if block == nil {
		r.Message = name + " is not in PEM"
		return []remark{r}
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		r.Message = name + " is no certificate"
		return []remark{r}
	}
	r.Result, r.Message, r.Advice = untilEnd(cert.NotAfter, time.Now())
	return []remark{r}
}

// untilEnd judges the end of a certificate of ours.
func untilEnd(end, now time.Time) (result, message, advice string) {
	switch left := end.Sub(now); {
	case left <= 0:
		return failed, "the certificate ended at " + stamp(end), "replace it; the daemon reads the file anew for each connection"
	case left < certificateSoon:
		return warning, "the certificate ends at " + stamp(end), "replace it; the daemon reads the file anew for each connection"
	}
	return fine, "the certificate holds until " + stamp(end), ""
}
