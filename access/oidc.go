package access

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/jackc/pgx/v5"
	"golang.org/x/oauth2"

	"github.com/keyrounds/keyrounds/secret"
)

// Rules of a sign-in at an issuer (OpenID Connect Core 1.0 §3.1, RFC 6749 §4.1, RFC 9700):
//
//  1. Code flow with PKCE (RFC 7636), state and nonce, all new for each sign-in. They are in a cookie of the browser that
//     began, so that no other browser's answer is taken, and nothing is stored for whoever only begins.
//  2. Each issuer has a redirect URI of its own, and the cookie names the issuer: an answer of one is never read as another's. Where
//     the answer names its issuer (RFC 9207), that must be the same.
//  3. The ID token is signed by the issuer's keys and is for our client alone.
//  4. A person is issuer and sub. Names and addresses are shown and prove nothing: a local person of the same name is another.
//  5. His role is that of his groups at each sign-in. Without a role he is refused, and what he had here ends.

// Issuer is an OpenID provider whose people may sign in.
type Issuer struct {
	Name         string // in its URLs here and in the record: [a-z0-9][a-z0-9-]*
	Title        string // on the button
	URL          string // iss
	ClientID     string
	ClientSecret secret.Reference
	Scopes       []string // beside openid
	GroupsClaim  string   // a claim, or with dots one inside of another
	Roles        []GroupRole
	Default      Grant // of who is in none of the groups; zero: he is refused
	AllowPrivate bool
	Proxy        string
	CAFile       string
}

// GroupRole is the role of who is in a group. The first that fits decides.
type GroupRole struct {
	Group string
	Grant
}

// IssuerError says why an issuer's answer was not taken. Its text is for the person.
type IssuerError struct {
	Text string
	err  error
}

func (e *IssuerError) Error() string { return e.Text }

// Is says that it is a refusal.
func (*IssuerError) Is(target error) bool { return target == ErrRefused }

func (e *IssuerError) Unwrap() error { return e.err }

// loginFor is how long somebody may take at the issuer.
const loginFor = 10 * time.Minute

// login is what the browser keeps meanwhile.
type login struct {
	Issuer   string `json:"i"`
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Next     string `json:"p"`
	Until    int64  `json:"u"`
}

// StartLogin begins a sign-in at an issuer: where the browser goes, and what it keeps in a cookie for FinishLogin. ErrNotFound: there
// is no such issuer; any other error says that it cannot be reached.
func (a *Access) StartLogin(ctx context.Context, name, next string) (to, kept string, err error) {
	i, err := a.issuer(name)
	if err != nil {
		return "", "", err
	}
	p, err := a.issuers.provider(ctx, i, a.Now())
	if err != nil {
		return "", "", err
	}
	l := login{Issuer: name, Next: next, Verifier: oauth2.GenerateVerifier(), Until: a.Now().Add(loginFor).Unix()}
	l.State, _ = newID()
	l.Nonce, _ = newID()
	text, err := json.Marshal(l)
	if err != nil {
		return "", "", err
	}
	to = a.oauth(i, p, "").AuthCodeURL(l.State, oidc.Nonce(l.Nonce), oauth2.S256ChallengeOption(l.Verifier))
	return to, base64.RawURLEncoding.EncodeToString(text), nil
}

// FinishLogin takes what an issuer's answer brings to its redirect URI, and what the browser kept. It returns the person, who is added
// where he is new, and where he wanted to go. An *IssuerError says why he is refused.
func (a *Access) FinishLogin(ctx context.Context, name, kept string, answer url.Values) (p Person, next string, err error) {
	i, err := a.issuer(name)
	if err != nil {
		return p, "", err
	}
	l, err := a.readLogin(i, kept, answer)
	if err != nil {
		return p, "", err
	}
	claims, err := a.claims(ctx, i, l, answer.Get("code"))
	if err != nil {
		return p, "", err
	}
	p, err = a.admit(ctx, i, claims)
	return p, l.Next, err
}

func (a *Access) issuer(name string) (Issuer, error) {
	for _, i := range a.Settings().Issuers {
		if i.Name == name {
			return i, nil
		}
	}
	return Issuer{}, ErrNotFound
}

func refusedBy(i Issuer, err error, format string, args ...any) error {
	return &IssuerError{i.Title + ": " + fmt.Sprintf(format, args...), err}
}

// readLogin compares an answer with what the browser kept.
func (a *Access) readLogin(i Issuer, kept string, answer url.Values) (l login, err error) {
	text, err := base64.RawURLEncoding.DecodeString(kept)
	if err != nil || json.Unmarshal(text, &l) != nil || len(l.State) != 43 || l.Issuer != i.Name ||
		subtle.ConstantTimeCompare([]byte(l.State), []byte(answer.Get("state"))) != 1 {
		return l, refusedBy(i, nil, "this browser did not begin this sign-in, or began another one since. Begin anew")
	}
	if a.Now().Unix() > l.Until {
		return l, refusedBy(i, nil, "the sign-in took more than ten minutes. Begin anew")
	}
	if iss := answer.Get("iss"); iss != "" && iss != i.URL { // RFC 9207 §2.4
		return l, refusedBy(i, nil, "the answer is another issuer's")
	}
	if code := answer.Get("error"); code != "" || answer.Get("code") == "" {
		return l, refusedBy(i, nil, "it did not sign you in (%s)", secret.Scrubber{}.Clean(code, 60))
	}
	return l, nil
}

func (a *Access) oauth(i Issuer, p *provider, clientSecret string) *oauth2.Config {
	c := &oauth2.Config{
		ClientID: i.ClientID, ClientSecret: clientSecret, Endpoint: p.Endpoint(), Scopes: append([]string{oidc.ScopeOpenID}, i.Scopes...),
		RedirectURL: strings.TrimSuffix(a.Settings().Base, "/") + "/login/" + i.Name + "/callback",
	}
	c.Endpoint.AuthStyle = p.style
	return c
}

// claims exchanges the code and returns what the issuer says of the person.
func (a *Access) claims(ctx context.Context, i Issuer, l login, code string) (map[string]any, error) {
	p, err := a.issuers.provider(ctx, i, a.Now())
	if err != nil {
		return nil, err
	}
	clientSecret, err := secret.Resolve(ctx, i.ClientSecret)
	if err != nil {
		return nil, fmt.Errorf("access.issuers %q: client_secret: %w", i.Name, err)
	}
	defer clientSecret.Wipe()
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := a.oauth(i, p, clientSecret.Reveal()).Exchange(ctx, code, oauth2.VerifierOption(l.Verifier))
	if err != nil {
		return nil, refusedBy(i, plain(err), "it did not confirm the sign-in")
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.Verifier(&oidc.Config{ClientID: i.ClientID, Now: a.Now}).Verify(ctx, raw)
	if err != nil {
		return nil, refusedBy(i, err, "its answer proves nothing")
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return nil, refusedBy(i, err, "its answer is not readable")
	}
	azp, _ := claims["azp"].(string)
	switch {
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(l.Nonce)) != 1:
		return nil, refusedBy(i, nil, "its answer is of another sign-in")
	case azp != "" && azp != i.ClientID, azp == "" && len(id.Audience) > 1: // OpenID Connect Core §3.1.3.7
		return nil, refusedBy(i, nil, "its answer is for another client")
	case id.AccessTokenHash != "" && id.VerifyAccessToken(token.AccessToken) != nil:
		return nil, refusedBy(i, nil, "its answer does not belong together")
	}
	if _, there := claimAt(claims, i.GroupsClaim); !there && p.UserInfoEndpoint() != "" {
		if err := addUserInfo(ctx, p, token, id, claims); err != nil {
			return nil, refusedBy(i, err, "it does not say who you are")
		}
	}
	return claims, nil
}

// plain is an error of the exchange without the answer's body, which may hold anything.
func plain(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil {
		code := secret.Scrubber{}.Clean(refused.ErrorCode, 60)
		return fmt.Errorf("the token endpoint answered %d (%s)", refused.Response.StatusCode, code)
	}
	return err
}

// addUserInfo adds what the issuer tells of the person apart from the ID token, and only that (OpenID Connect Core §5.3.2).
func addUserInfo(ctx context.Context, p *provider, token *oauth2.Token, id *oidc.IDToken, claims map[string]any) error {
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return err
	}
	more := map[string]any{}
	if err := info.Claims(&more); err != nil {
		return err
	}
	if info.Subject != id.Subject {
		return errors.New("the userinfo is of another person")
	}
	for name, v := range more {
		if _, there := claims[name]; !there {
			claims[name] = v
		}
	}
	return nil
}

func claimAt(claims map[string]any, name string) (v any, there bool) {
	if v, there = claims[name]; there {
		return v, true
	}
	head, rest, more := strings.Cut(name, ".")
	inner, ok := claims[head].(map[string]any)
	if !more || !ok {
		return nil, false
	}
	return claimAt(inner, rest)
}

// grant is the role that the claims give; false: none.
func (i Issuer) grant(claims map[string]any) (Grant, bool) {
	var groups []string
	switch v, _ := claimAt(claims, i.GroupsClaim); v := v.(type) {
	case string:
		groups = []string{v}
	case []any:
		for _, g := range v {
			if text, ok := g.(string); ok {
				groups = append(groups, text)
			}
		}
	}
	for _, r := range i.Roles {
		if slices.Contains(groups, r.Group) {
			return r.Grant, true
		}
	}
	return i.Default, i.Default.Role != ""
}

// nameOf is how a person is shown: an address that the issuer does not call unverified, or another name, or his sub.
func nameOf(claims map[string]any) string {
	text := func(key string) string {
		s, _ := claims[key].(string)
		return secret.Scrubber{}.Clean(s, 100)
	}
	email := text("email")
	if verified, said := claims["email_verified"].(bool); said && !verified {
		email = ""
	}
	for _, name := range []string{email, text("preferred_username"), text("name")} {
		if name != "" {
			return name
		}
	}
	return text("sub")
}

// admit makes the person what his issuer says of him today.
func (a *Access) admit(ctx context.Context, i Issuer, claims map[string]any) (p Person, err error) {
	sub, _ := claims["sub"].(string)
	if sub == "" || len(sub) > 255 || strings.ContainsRune(sub, 0) {
		return p, refusedBy(i, nil, "its answer names nobody")
	}
	g, may := i.grant(claims)
	by := "issuer " + i.Name
	if !may {
		return p, errors.Join(a.expel(ctx, by, i, sub), refusedBy(i, nil, "you (%s) are in no group that has a role here", nameOf(claims)))
	}
	err = a.inTx(ctx, func(tx pgx.Tx) error {
		there, err := a.people(ctx, tx, `WHERE issuer = $1 AND subject = $2 FOR UPDATE`, i.URL, sub)
		if err != nil {
			return err
		}
		if len(there) > 0 && !there[0].DisabledAt.IsZero() {
			return refusedBy(i, nil, "an admin has disabled you here")
		}
		p = Person{Name: nameOf(claims), Issuer: i.URL, Subject: sub, Role: g.Role, Owners: owners(g)}
		err = tx.QueryRow(ctx, `
			INSERT INTO access_people (name, issuer, subject, role, owners, added_at, added_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (issuer, subject) WHERE issuer <> '' DO UPDATE SET name = $1, role = $4, owners = $5
			RETURNING id`, p.Name, p.Issuer, p.Subject, p.Role, p.Owners, a.Now(), by).Scan(&p.ID)
		switch {
		case err != nil:
			return err
		case len(there) == 0:
			return a.Record(ctx, tx, by, "person.added", "person "+p.Name, g)
		case there[0].Role != p.Role || !slices.Equal(there[0].Owners, p.Owners):
			return a.Record(ctx, tx, by, "person.changed", "person "+p.Name,
				map[string]any{"before": Grant{there[0].Role, there[0].Owners}, "now": g})
		}
		return nil
	})
	return p, err
}

// expel ends what somebody has here who has no role any more.
func (a *Access) expel(ctx context.Context, by string, i Issuer, sub string) error {
	return a.inTx(ctx, func(tx pgx.Tx) error {
		there, err := a.people(ctx, tx, `WHERE issuer = $1 AND subject = $2 FOR UPDATE`, i.URL, sub)
		if err != nil || len(there) == 0 {
			return err
		}
		id := there[0].ID
		ended, err := tx.Exec(ctx, `DELETE FROM access_sessions WHERE person_id = $1`, id)
		if err != nil {
			return err
		}
		revoked, err := tx.Exec(ctx, `
			UPDATE access_tokens SET revoked_at = $2, revoked_by = $3 WHERE person_id = $1 AND revoked_at IS NULL`, id, a.Now(), by)
		if err != nil || ended.RowsAffected()+revoked.RowsAffected() == 0 {
			return err
		}
		return a.Record(ctx, tx, by, "person.expelled", "person "+there[0].Name,
			map[string]any{"sessions": ended.RowsAffected(), "tokens": revoked.RowsAffected()})
	})
}
