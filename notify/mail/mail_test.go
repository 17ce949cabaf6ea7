package mail_test

import (
	"bufio"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/mail"
	"github.com/keyrounds/keyrounds/notify/notifytest"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/test/mailbox"
)

const password = "c4n4ry-passw0rd"

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func receiver(t *testing.T, o mail.Options) *mail.Receiver {
	t.Helper()
	way, err := outbound.Transport(outbound.Policy{AllowPrivate: true, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	o.Name, o.Dial, o.Now = "team", way.DialContext, func() time.Time { return now }
	o.From = cmp.Or(o.From, "Key Rounds <keyrounds@example.com>")
	if o.To == nil {
		o.To = []string{"ann@example.com", "Bob Ü <bob@example.com>"}
	}
	if o.Password == nil {
		o.Password = give(password)
	}
	return mail.New(o)
}

func give(text string) func(context.Context) (secret.Value, error) {
	return func(context.Context) (secret.Value, error) { return secret.New([]byte(text)), nil }
}

func send(t *testing.T, r *mail.Receiver, m notify.Message) notify.Receipt {
	t.Helper()
	receipt, err := r.Send(t.Context(), m)
	if err != nil || receipt == (notify.Receipt{}) {
		t.Fatalf("%s: %v, %v", m.Title(), receipt, err)
	}
	return receipt
}

// What is told of a message is a thread: each mail after the first refers to it and has its subject. A mail that is sent twice is the
// same mail.
func TestThread(t *testing.T) {
	t.Parallel()
	s := mailbox.Start(t, "--ignore-duplicate-ids")
	r := receiver(t, mail.Options{URL: "smtp://" + s.SMTP, Plain: true})
	told := notify.Receipt{}
	for _, state := range []finding.State{finding.Open, "reminded", finding.Resolved} {
		m := notifytest.Message(finding.Revoked, state, notify.Receipt{})
		if state == "reminded" {
			m = notifytest.Open()
			m.Turn, m.Occasion, m.TurnKey = "it is still refused", "REMINDER", "7-1-reminded"
		}
		m.Told = told
		receipt := send(t, r, m)
		m.Unclear = true // an answer that was lost
		if again := send(t, r, m); again != receipt {
			t.Errorf("%s, again: %v", state, again)
		}
		told = receipt
	}
	other := notifytest.Open()
	other.Key = "8-1"
	send(t, r, other)

	list := s.Mails()
	slices.Reverse(list)
	if len(list) != 4 {
		t.Fatalf("it has %d mails", len(list))
	}
	first := list[0]
	ids := map[string]bool{}
	for i, m := range list {
		ids[m.MessageID] = true
		refers, subject := strings.Join(m.Header["References"], ","), m.Subject
		switch {
		case m.From.Address != "keyrounds@example.com", len(m.To) != 2, m.To[1].Name != "Bob Ü", m.HTML != "":
			t.Errorf("%d: %+v", i, m)
		case m.Header["Auto-Submitted"][0] != "auto-generated", !strings.HasSuffix(m.MessageID, "@example.com"):
			t.Errorf("%d: %v", i, m.Header)
		case i == 0 || i == 3:
			if refers != "" || !strings.HasPrefix(subject, "CRITICAL: sample-credential") || m.Header["Importance"][0] != "high" {
				t.Errorf("%d: it refers to %s, %s, %v", i, refers, subject, m.Header)
			}
		case refers != "<"+first.MessageID+">" || m.Header["In-Reply-To"][0] != refers || subject != "Re: "+first.Subject:
			t.Errorf("%d: it refers to %s, %s; the first is %s", i, refers, subject, first.MessageID)
		}
	}
	if len(ids) != 4 {
		t.Errorf("ids %v", ids)
	}
	for i, want := range []string{"Whoever uses it", "REMINDER: CRITICAL: ", "RESOLVED: "} {
		if !strings.HasPrefix(list[i].Text, want) {
			t.Errorf("%d: %s", i, list[i].Text)
		}
	}
	if !strings.Contains(list[1].Text, "\nit is still refused") && !strings.Contains(list[1].Text, "\r\nit is still refused") {
		t.Errorf("what happened is not in %s", list[1].Text)
	}
}

// Every kind is a mail that another program reads as it was meant, whatever a name or an answer of a provider has in it.
func TestEveryKind(t *testing.T) {
	t.Parallel()
	s := mailbox.Start(t)
	r := receiver(t, mail.Options{URL: "smtp://" + s.SMTP, Plain: true})
	wants := map[string]notify.Message{}
	for i, k := range finding.Kinds() {
		for j, hostile := range []string{
			"", "\r\nBcc: eve@example.com\r\n\r\nx", "Grüße 世界 =?utf-8?q?x?= \x00\x7f",
			strings.Repeat("long ", 300) + strings.Repeat("x", 3000),
			"\n.\nQUIT\n..\nFrom eve",
		} {
			m := notifytest.Message(k, finding.Open, notify.Receipt{})
			m.Key = fmt.Sprint(i, "-", j)
			m.Words.Title += hostile
			m.Words.Effect += hostile
			send(t, r, m)
			wants[m.Key] = m
		}
	}
	list := s.Mails()
	if len(list) != len(wants) {
		t.Errorf("%d mails, not %d", len(list), len(wants))
	}
	squeeze := func(s string) string { return strings.Join(strings.Fields(strings.ReplaceAll(s, "\x00", "")), " ") }
	found := map[string]bool{}
	for _, m := range list {
		for key, want := range wants {
			title, body := want.Plain()
			if squeeze(m.Text) == squeeze(body) && strings.HasPrefix(squeeze(title), strings.TrimSuffix(squeeze(m.Subject), "…")) {
				found[key] = true
			}
		}
		if len(m.Header["Bcc"]) > 0 || len(m.Header["Subject"]) != 1 || len(m.To) != 2 {
			t.Errorf("headers %v", m.Header)
		}
		for line := range strings.SplitSeq(m.Raw, "\r\n") {
			if len(line) > 998 || strings.ContainsFunc(line, func(c rune) bool { return c > 126 || c == '\n' || c == '\r' }) {
				t.Fatalf("a line of %d bytes: %q", len(line), line)
			}
		}
	}
	for key, want := range wants {
		if !found[key] {
			t.Errorf("no mail is read as %q", want.Words.Title)
		}
	}
}

// A letter's file is attached.
func TestLetter(t *testing.T) {
	t.Parallel()
	s := mailbox.Start(t)
	r := receiver(t, mail.Options{URL: "smtp://" + s.SMTP, Plain: true})
	content := []byte("<!doctype html>\n" + strings.Repeat("ü", 5000))
	send(t, r, notify.Message{Key: "l", Letter: &notify.Letter{
		Title: "Unused credentials, March", Lines: []string{"Two."}, File: &notify.File{Name: "unused.html", Content: content},
	}})
	m := s.Mails()[0]
	if m.Subject != "Unused credentials, March" || strings.TrimSpace(m.Text) != "Two." || len(m.Attachments) != 1 ||
		m.Attachments[0].FileName != "unused.html" || string(s.Attachment(m, 0)) != string(content) {
		t.Errorf("%+v", m)
	}
}

// certificate is one for 127.0.0.1, as files, and who trusts it.
func certificate(t *testing.T) (cert, key string, trusting *tls.Config) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return cert, key, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// Mail goes encrypted, by STARTTLS or from the start, and to nobody whose certificate is not trusted; who signs in is known by the
// password.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	cert, key, trusting := certificate(t)
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("keyrounds:"+password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for scheme, only := range map[string]string{"smtp": "--smtp-require-starttls", "smtps": "--smtp-require-tls"} {
		s := mailbox.Start(t, "--smtp-tls-cert", cert, "--smtp-tls-key", key, "--smtp-auth-file", users, only)
		o := mail.Options{URL: scheme + "://" + s.SMTP, Username: "keyrounds", TLS: trusting}
		if c, err := receiver(t, o).Reach(t.Context()); err != nil || c.Doubt != "" {
			t.Errorf("%s, reached: %v, %v", scheme, c, err)
		}
		send(t, receiver(t, o), notifytest.Open())
		for name, change := range map[string]func(*mail.Options){
			"a wrong password": func(o *mail.Options) { o.Password = give("c4n4ry-other") },
			"no password":      func(o *mail.Options) { o.Username = "" },
			"not trusted":      func(o *mail.Options) { o.TLS = nil },
			"another name":     func(o *mail.Options) { o.URL = strings.Replace(o.URL, "127.0.0.1", "localhost", 1) },
		} {
			wrong := o
			change(&wrong)
			_, err := receiver(t, wrong).Send(t.Context(), notifytest.Open())
			_, reached := receiver(t, wrong).Reach(t.Context())
			if notifytest.Asks(err) != notifytest.Person || notifytest.Asks(reached) != notifytest.Person ||
				strings.Contains(err.Error()+reached.Error(), "c4n4ry") {
				t.Errorf("%s, %s: %v, %v", scheme, name, err, reached)
			}
		}
		if n := len(s.Mails()); n != 1 {
			t.Errorf("%s: %d mails", scheme, n)
		}
	}
	s := mailbox.Start(t)
	_, err := receiver(t, mail.Options{URL: "smtp://" + s.SMTP}).Send(t.Context(), notifytest.Open())
	if notifytest.Asks(err) != notifytest.Person || len(s.Mails()) != 0 {
		t.Errorf("no STARTTLS: %v, %d mails", err, len(s.Mails()))
	}
}

// What a server refuses says whether it is sent again. Nobody is left out because another address is refused.
func TestAnswers(t *testing.T) {
	t.Parallel()
	s := mailbox.Start(t, "--enable-chaos", "--smtp-allowed-recipients", "^(ann|bob)@example.com$")
	r := receiver(t, mail.Options{URL: "smtp://" + s.SMTP, Plain: true})
	for _, c := range []struct {
		with string
		code int
		want string
	}{
		{"Sender", 451, notifytest.Later}, {"Sender", 550, notifytest.Person}, {"Recipient", 450, notifytest.Later}, {
			"Recipient", 550,
			notifytest.Person,
		},
	} {
		s.Trouble(c.with, c.code)
		_, err := r.Send(t.Context(), notifytest.Open())
		_, reached := r.Reach(t.Context())
		if notifytest.Asks(err) != c.want || notifytest.Asks(reached) != c.want || !strings.Contains(err.Error(), fmt.Sprint(c.code)) {
			t.Errorf("%s %d: %v, %v; want %s", c.with, c.code, err, reached, c.want)
		}
	}
	s.Trouble("", 0)
	if n := len(s.Mails()); n != 0 {
		t.Errorf("%d mails", n)
	}
	some := receiver(t, mail.Options{URL: "smtp://" + s.SMTP, Plain: true, To: []string{"gone@example.com", "ann@example.com"}})
	if c, err := some.Reach(t.Context()); err != nil || c.Doubt != "it refuses mail for gone@example.com" {
		t.Errorf("reached: %v, %v", c, err)
	}
	send(t, some, notifytest.Open())
	none := receiver(t, mail.Options{URL: "smtp://" + s.SMTP, Plain: true, To: []string{"gone@example.com"}})
	_, err := none.Send(t.Context(), notifytest.Open())
	if notifytest.Asks(err) != notifytest.Person || len(s.Mails()) != 1 {
		t.Errorf("nobody is there: %v, %d mails", err, len(s.Mails()))
	}
	nobody := receiver(t, mail.Options{URL: "smtp://127.0.0.1:1", Plain: true})
	if _, err := nobody.Send(t.Context(), notifytest.Open()); notifytest.Asks(err) != notifytest.Later {
		t.Errorf("nobody there: %v", err)
	}
}

// What a server says to a whole mail tells whether it has it: it is not known only where the connection ends.
func TestLastAnswer(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"250 2.0.0 taken": notifytest.Taken, "451 4.3.0 " + password: notifytest.Later, "554 5.7.1 " + password: notifytest.OnlyThis,
		"": notifytest.Again,
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go office(l, said)
		r := receiver(t, mail.Options{URL: "smtp://" + l.Addr().String(), Plain: true})
		_, err = r.Send(t.Context(), notifytest.Open())
		if notifytest.Asks(err) != want || err != nil && strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("%q: %v, want %s", said, err, want)
		}
	}
}

// office takes one mail and says so in its words; "": it ends the connection.
func office(l net.Listener, last string) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	in := bufio.NewScanner(conn)
	say := func(s string) { fmt.Fprintf(conn, "%s\r\n", s) }
	say("220 office")
	for in.Scan() {
		if !strings.HasPrefix(in.Text(), "DATA") {
			say("250 fine")
			continue
		}
		say("354 go on")
		for in.Scan() && in.Text() != "." {
		}
		if last == "" {
			return
		}
		say(last)
	}
}
