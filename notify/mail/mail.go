// Package mail has findings told by mail: SMTP, with STARTTLS or TLS, and threads that mail programs group.
//
// The first mail of a message has a Message-ID that follows from its key. What comes after refers to it (References, In-Reply-To) and has
// its subject, so it stands below it. What is sent twice has the same Message-ID both times.
package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
)

// Options are options of New. Plain, Username and TLS are optional, the others are required.
type Options struct {
	Name     string
	URL      string   // smtp://host:587 with STARTTLS, smtps://host:465 with TLS from the start; the ports are those where none is given
	Plain    bool     // smtp:// without TLS
	From     string   // an address, also with a name: keyrounds <keyrounds@example.com>
	To       []string // likewise, at least one
	Username string   // "": nobody signs in
	Password func(context.Context) (secret.Value, error)
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // of package outbound
	TLS      *tls.Config                                                          // nil: as this machine trusts
	Now      func() time.Time
}

// Receiver is one mail server and those who get its mails. It is safe for concurrent use.
type Receiver struct{ o Options }

// New makes a Receiver. It asks the server nothing.
func New(o Options) *Receiver { return &Receiver{o} }

// Name is Options.Name, which routes use and errors begin with.
func (r *Receiver) Name() string { return r.o.Name }

// Traits says that it posts only, in its one channel, without a pace.
func (*Receiver) Traits() notify.Traits { return notify.Traits{} }

// Where says to whom it sends.
func (r *Receiver) Where(context.Context) string { return "mail to " + strings.Join(r.o.To, ", ") }

// Send mails m, whether it was mailed before or not: below the mail that m.Told names, if it names one. Those of To that the server
// refuses get none, as long as it takes others. Receipt.Ref names the first mail.
//
// Until the server has all of a mail nothing is sent, and the error is a *notify.RefusedError: one that needs a person where the server
// refuses the sign-in, From or all of To for good, or has no STARTTLS; one about this message only where it refuses the text. An error
// after that may have been sent. No error has the password or what the server said, but its codes.
func (r *Receiver) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	letter, thread, err := r.write(m)
	if err != nil {
		return notify.Receipt{}, &notify.RefusedError{Err: fmt.Errorf("%s: the mail cannot be written: %w", r.o.Name, err), OnlyThis: true}
	}
	c, err := r.connect(ctx)
	if err != nil {
		return notify.Receipt{}, err
	}
	defer c.end()
	if _, err := c.envelope(); err != nil {
		return notify.Receipt{}, err
	}
	if err := c.data(letter); err != nil {
		return notify.Receipt{}, err
	}
	ref, err := thread.ref()
	return notify.Receipt{Channel: "mail", Ref: ref}, err
}

// Reach signs in and asks whether each of To is taken, without a mail.
func (r *Receiver) Reach(ctx context.Context) (notify.Contact, error) {
	c, err := r.connect(ctx)
	if err != nil {
		return notify.Contact{}, err
	}
	defer c.end()
	refused, err := c.envelope()
	if err != nil {
		return notify.Contact{}, err
	}
	contact := notify.Contact{Says: c.host + " takes mail for " + strings.Join(r.o.To, ", ")}
	if len(refused) > 0 {
		contact.Says = c.host + " takes mail from " + r.o.From
		contact.Doubt = "it refuses mail for " + strings.Join(refused, ", ")
		contact.Fix = "look at to of the receiver: the others get mails, and these do not"
	}
	return contact, nil
}

// address is where the server is, by the URL.
func (r *Receiver) address() (host, port string, encrypted bool, err error) {
	u, err := url.Parse(r.o.URL)
	if err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" {
		return "", "", false, errors.New("its URL is not smtp://host or smtps://host")
	}
	encrypted, port = u.Scheme == "smtps", u.Port()
	switch {
	case port != "":
	case encrypted:
		port = "465"
	case r.o.Plain:
		port = "25"
	default:
		port = "587"
	}
	return u.Hostname(), port, encrypted, nil
}
