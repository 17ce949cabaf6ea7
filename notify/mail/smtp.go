package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"regexp"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/keyrounds/keyrounds/notify"
)

// conversation is one with a mail server (RFC 5321).
type conversation struct {
	*smtp.Client
	r    *Receiver
	host string
	stop func() bool
}

// connect connects, encrypts and signs in.
func (r *Receiver) connect(ctx context.Context) (*conversation, error) {
	host, port, encrypted, err := r.address()
	if err != nil {
		return nil, r.refused(err, "look at url of the receiver")
	}
	conn, err := r.o.Dial(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, r.later(fmt.Errorf("%s could not be reached", host))
	}
	_ = conn.SetDeadline(deadline(ctx))
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	settings := r.settings(host)
	if encrypted {
		over := tls.Client(conn, settings)
		if err := over.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, r.noTLS(host, err)
		}
		conn = over
	}
	client, err := smtp.NewClient(conn, host)
	if err != nil {
		_ = conn.Close()
		return nil, r.answered("the connection", err, "")
	}
	client.SkipSMTPUTF8(true) // the addresses are ASCII
	c := &conversation{client, r, host, stop}
	if err := c.begin(ctx, conn, encrypted, settings); err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

func (c *conversation) begin(ctx context.Context, conn net.Conn, encrypted bool, settings *tls.Config) error {
	if err := c.Hello(literal(conn.LocalAddr())); err != nil {
		return c.r.answered("EHLO", err, "")
	}
	if !encrypted && !c.r.o.Plain {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return c.r.refused(fmt.Errorf("%s has no STARTTLS", c.host),
				"smtps:// if it has TLS on another port; plain: true where the way to it is safe")
		}
		if err := c.StartTLS(settings); err != nil {
			return c.r.noTLS(c.host, err)
		}
	}
	if c.r.o.Username == "" {
		return nil
	}
	password, err := c.r.o.Password(ctx)
	if err != nil {
		return c.r.refused(fmt.Errorf("password: %w", err), "mend password of the receiver, or what it points at")
	}
	defer password.Wipe()
	_, offered := c.Extension("AUTH")
	var way smtp.Auth
	switch ways := " " + strings.ToUpper(offered) + " "; {
	case strings.Contains(ways, " SCRAM-SHA-256 "):
		way = smtp.ScramSHA256Auth(c.r.o.Username, password.Reveal())
	case strings.Contains(ways, " PLAIN "):
		way = smtp.PlainAuth("", c.r.o.Username, password.Reveal(), c.host, false)
	case strings.Contains(ways, " LOGIN "):
		way = smtp.LoginAuth(c.r.o.Username, password.Reveal(), c.host, false)
	case strings.Contains(ways, " CRAM-MD5 "):
		way = smtp.CRAMMD5Auth(c.r.o.Username, password.Reveal())
	default:
		return c.r.refused(fmt.Errorf("%s lets nobody sign in by a password", c.host),
			"take username and password out, or name the server's port for submission")
	}
	if err := c.Auth(way); err != nil {
		return c.r.answered("the sign-in", err, "put the right username and password into the receiver")
	}
	return nil
}

// envelope says from whom and to whom. It returns those that the server refuses; all of them is an error.
func (c *conversation) envelope() (refused []string, err error) {
	from, err := netmail.ParseAddress(c.r.o.From)
	if err != nil {
		return nil, c.r.refused(errors.New("from is no address"), "mend from of the receiver")
	}
	if err := c.Mail("<" + from.Address + ">"); err != nil {
		return nil, c.r.answered("from", err, "look at from of the receiver, and whether the server wants username and password")
	}
	var last error
	for _, each := range c.r.o.To {
		to, err := netmail.ParseAddress(each)
		if err == nil {
			err = c.Rcpt("<" + to.Address + ">")
		}
		if err != nil {
			refused = append(refused, each)
			if last == nil || !lasting(err) { // one that may be taken later counts
				last = err
			}
		}
	}
	if len(refused) == len(c.r.o.To) {
		return nil, c.r.answered("to", last, "look at to of the receiver: the server takes mail for nobody there")
	}
	return refused, nil
}

// data sends the mail.
func (c *conversation) data(letter []byte) error {
	w, err := c.Data()
	if err == nil {
		_, err = w.Write(letter)
	}
	if err != nil {
		return c.r.text(err)
	}
	err = w.Close()
	var said *textproto.Error
	if err != nil && !errors.As(err, &said) {
		return fmt.Errorf("%s: %s ended the connection before it said whether it has the mail", c.r.o.Name, c.host)
	}
	if err != nil {
		return c.r.text(err)
	}
	return nil
}

func (c *conversation) end() {
	c.stop()
	_ = c.Quit()
	_ = c.Close()
}

// text is the error of a mail whose text the server did not take.
func (r *Receiver) text(err error) error {
	if lasting(err) {
		return &notify.RefusedError{Err: fmt.Errorf("%s: the server answers %s to the mail", r.o.Name, codes(err)), OnlyThis: true}
	}
	return r.answered("the mail", err, "")
}

// answered is the error of what the server answered to a part of the conversation: one that needs a person where it is for good.
func (r *Receiver) answered(to string, err error, fix string) error {
	why := fmt.Errorf("the server answers %s to %s", codes(err), to)
	if lasting(err) {
		return r.refused(why, fix)
	}
	return r.later(why)
}

// lasting reports whether a server refuses for good.
func lasting(err error) bool {
	var said *textproto.Error
	return errors.As(err, &said) && said.Code/100 == 5
}

var enhanced = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

// codes are those of an answer: its words may be hostile, and hold what they were sent.
func codes(err error) string {
	var said *textproto.Error
	if !errors.As(err, &said) {
		return "nothing"
	}
	return strings.TrimSpace(fmt.Sprint(said.Code, " ", enhanced.FindString(said.Msg)))
}

func (r *Receiver) noTLS(host string, err error) error {
	var trust *tls.CertificateVerificationError
	if errors.As(err, &trust) {
		return r.refused(fmt.Errorf("the certificate of %s is not trusted: it is for another name, over, or of an unknown authority", host),
			"use the name that is in it, or have this machine trust its authority (SSL_CERT_FILE)")
	}
	return r.later(fmt.Errorf("no TLS with %s", host))
}

func (r *Receiver) settings(host string) *tls.Config {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.o.TLS != nil {
		settings = r.o.TLS.Clone()
	}
	settings.ServerName = host
	return settings
}

// refused is the error of what needs a person.
func (r *Receiver) refused(err error, fix string) error {
	return &notify.RefusedError{Err: fmt.Errorf("%s: %w", r.o.Name, err), NeedsPerson: true, Fix: fix}
}

// later is the error of what was not sent for now.
func (r *Receiver) later(err error) error {
	return &notify.RefusedError{Err: fmt.Errorf("%s: %w", r.o.Name, err)}
}

const longest = 30 * time.Second // of a conversation

func deadline(ctx context.Context) time.Time {
	if at, ok := ctx.Deadline(); ok {
		return at
	}
	return time.Now().Add(longest)
}

// literal is how a machine without a name says who it is (RFC 5321, 4.1.3).
func literal(addr net.Addr) string {
	host, _, err := net.SplitHostPort(addr.String())
	ip := net.ParseIP(host)
	switch {
	case err != nil || ip == nil:
		return "localhost"
	case ip.To4() != nil:
		return "[" + host + "]"
	}
	return "[IPv6:" + ip.String() + "]"
}
