package shoutrrr

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"

	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/outbound"
)

// Reach reads the URL as Send does, and opens a connection to the host that stands in it, which it closes at once. A service whose
// host the URL does not name, or that is reached through a proxy, is not asked.
func (r *Receiver) Reach(ctx context.Context) (notify.Contact, error) {
	raw, err := r.url(ctx)
	if err != nil {
		return notify.Contact{}, r.refused(fmt.Errorf("its URL: %w", err), "mend url of the receiver, or what it points at")
	}
	defer raw.Wipe()
	scrub := scrubber(raw)
	if _, err := (&router.ServiceRouter{}).Locate(raw.Reveal()); err != nil {
		return notify.Contact{}, r.refused(
			errors.New(scrub.Clean(err.Error(), 200)), "its URL is not one of shoutrrr's: shoutrrr.nickfedor.com/services/overview")
	}
	scheme, rest, _ := strings.Cut(raw.Reveal(), "://")
	service, transport, _ := strings.Cut(strings.ToLower(scheme), "+")
	u, err := url.Parse("https://" + rest)
	if err != nil || u.Hostname() == "" || !slices.Contains(hosted, service) {
		return notify.Contact{Says: "its URL is one of " + service + ", which names its host itself: it was not asked"}, nil
	}
	way, err := outbound.Transport(r.policy)
	if err != nil {
		return notify.Contact{}, r.refused(err, "look at notifications.proxy")
	}
	number := port(service, transport, u)
	if proxied(way, u.Hostname(), number) && service != "smtp" {
		return notify.Contact{Says: "its URL is one of " + service + "; what goes through a proxy was not asked"}, nil
	}
	conn, err := way.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), number))
	if err != nil {
		return notify.Contact{}, fmt.Errorf("%s: no connection to %s", r.name, u.Host)
	}
	_ = conn.Close()
	return notify.Contact{Says: service + " at " + u.Host + " takes connections"}, nil
}

// proxied reports whether requests to a host go through a proxy.
func proxied(way *http.Transport, host, port string) bool {
	if way.Proxy == nil {
		return false
	}
	scheme := "https"
	if port == "80" {
		scheme = "http"
	}
	by, err := way.Proxy(&http.Request{URL: &url.URL{Scheme: scheme, Host: net.JoinHostPort(host, port)}})
	return err == nil && by != nil
}

// port is the one of a service's URL, or the usual one.
func port(service, transport string, u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case service == "smtp":
		return "25"
	case transport == "http" || strings.EqualFold(u.Query().Get("disabletls"), "yes"):
		return "80"
	}
	return "443"
}
