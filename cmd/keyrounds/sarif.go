package main

import (
	"fmt"
	"io"
	"net/url"
	"path/filepath"

	"github.com/keyrounds/keyrounds/leak/scan"
)

// The part of SARIF 2.1.0 (OASIS) that code hosts show.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level      string          `json:"level"`
		Descriptor sarifDescriptor `json:"descriptor"`
		Message    sarifText       `json:"message"`
	}
	sarifDescriptor struct {
		ID string `json:"id"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID    string    `json:"id"`
		Short sarifText `json:"shortDescription"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints,omitempty"`
		Properties   map[string]any    `json:"properties"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
)

func writeSARIF(w io.Writer, f scan.Found) error {
	run := sarifRun{Results: []sarifResult{}, Tool: sarifTool{sarifDriver{"keyrounds", buildVersion(), []sarifRule{
		{"registered-secret", sarifText{"A registered client secret"}}, {"registered-client-id", sarifText{"A registered client id"}},
	}}}}
	for _, h := range f.Hits {
		r := sarifResult{
			RuleID: "registered-secret", Level: "error",
			Message:   sarifText{fmt.Sprintf("The client secret of credential %s stands here (%s).", h.Credential, h.Encoding)},
			Locations: []sarifLocation{{sarifPhysical{Artifact: sarifArtifact{sarifURI(h)}}}},
			Properties: map[string]any{
				"credential": h.Credential, "encoding": h.Encoding, "source": h.Source, "in_head": h.InHead, "tips": orEmpty(h.Tips),
				"former": h.Former,
			},
		}
		if h.Kind == scan.ClientID {
			r.RuleID, r.Level = "registered-client-id", "note"
			r.Message.Text = fmt.Sprintf("The client id of credential %s stands here (%s).", h.Credential, h.Encoding)
		}
		if h.Line > 0 {
			r.Locations[0].Physical.Region = &sarifRegion{h.Line}
		}
		if h.Commit != "" {
			r.Fingerprints = map[string]string{"commitSha": h.Commit}
		}
		if !h.FirstSeen.IsZero() {
			r.Properties["first_seen"] = stamp(h.FirstSeen)
		}
		run.Results = append(run.Results, r)
	}
	run.Invocations = []sarifInvocation{{Successful: len(f.Failed) == 0, Notifications: sarifNotifications(f)}}
	return writeJSON(w, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// sarifNotifications say what was not searched: a named source or a history is an error, all else a warning.
func sarifNotifications(f scan.Found) []sarifNotification {
	all := []sarifNotification{{"note", sarifDescriptor{"searched"}, sarifText{f.Coverage().Summary()}}}
	for _, s := range f.Skipped {
		level := "warning"
		if s.Named {
			level = "error"
		}
		all = append(all, sarifNotification{level, sarifDescriptor{string(s.Reason)}, sarifText{"not searched: " + s.Path + ": " + s.Why}})
	}
	return all
}

// sarifURI is relative to what was scanned, as code hosts want it.
func sarifURI(h scan.Hit) string {
	if h.Path == "" {
		return filepath.ToSlash(filepath.Base(h.Source))
	}
	return (&url.URL{Path: h.Path}).EscapedPath()
}
