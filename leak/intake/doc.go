// Package intake reads what others report of secrets that got out: the report formats of other scanners, webhooks of
// code hosts, and security event tokens.
//
// It checks signatures and returns values. It does not find out whether a secret is registered, keeps nothing, and
// asks no other machine for anything by itself: its caller hands it the keys and the documents. What a report means
// for a credential is the business of package leak.
package intake
