// Package access holds who may do what: people, their sessions, API tokens and roles.
//
// It asks nobody for a password of a log-in page and answers no request: web and api do, by what it says.
package access

import (
	"context"
	"slices"
)

// Role is what somebody may do.
type Role string

// The roles.
const (
	Viewer    Role = "viewer"    // sees everything
	Responder Role = "responder" // and acts on findings, and checks
	Owner     Role = "owner"     // sees, acts and decides, on the credentials of his owner names only
	Admin     Role = "admin"     // everything
	Scanner   Role = "scanner"   // has texts searched for secrets, and sees nothing but what is in those; of tokens only
)

// Roles are those that people have, in the order in which they are listed.
func Roles() []Role { return []Role{Viewer, Responder, Owner, Admin} }

// TokenRoles are those that tokens have.
func TokenRoles() []Role { return append(Roles(), Scanner) }

// Deed is what a request does, as far as roles tell deeds apart.
type Deed string

// The deeds.
const (
	Enter      Deed = "enter" // ask who one is here, and what answers
	Scan       Deed = "scan"  // have a text searched for secrets: whoever may can tell a right guess from a wrong one
	See        Deed = "see"
	Respond    Deed = "respond"    // acknowledge, snooze, false alarm, assign, comment, check, silence
	Decide     Deed = "decide"     // what becomes of an unused credential
	Administer Deed = "administer" // credentials, reports' freezing, people, tokens, the record
)

// Who is somebody who asks, with what the request proved about him.
type Who struct {
	Name    string   // as the record names him: "user ann", "token grafana"
	Role    Role     // what he may do
	Owners  []string // whose credentials, where Role is Owner
	Here    bool     // he is on this machine, says the kernel
	ByToken bool     // an API token proved it
}

// May says whether somebody may do a deed at all. Where his role is Owner, Sees says on which credentials.
func (w Who) May(d Deed) bool {
	return slices.Contains(map[Role][]Deed{
		Viewer:    {Enter, See},
		Responder: {Enter, Scan, See, Respond},
		Owner:     {Enter, Scan, See, Respond, Decide},
		Admin:     {Enter, Scan, See, Respond, Decide, Administer},
		Scanner:   {Enter, Scan},
	}[w.Role], d)
}

// Sees says whether the credentials of an owner are shown to somebody: all to everybody but to those whose role is Owner.
func (w Who) Sees(owner string) bool { return w.Role != Owner || slices.Contains(w.Owners, owner) }

type key struct{}

// With says in a context who asks.
func With(ctx context.Context, w Who) context.Context { return context.WithValue(ctx, key{}, w) }

// From is who asks; false: nobody was named, and nothing may be done.
func From(ctx context.Context) (Who, bool) {
	w, ok := ctx.Value(key{}).(Who)
	return w, ok
}
