package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/mail"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

// thread is the first mail of a message, as its receipt keeps it.
type thread struct {
	Root    string `json:"root"`    // its Message-ID, without brackets
	Subject string `json:"subject"` // without Re:
}

func (t thread) ref() (string, error) {
	b, err := json.Marshal(t)
	return string(b), err
}

const mostSubject = 200 // characters

// write is m as a mail, and the thread that it is in.
func (r *Receiver) write(m notify.Message) ([]byte, thread, error) {
	from, err := mail.ParseAddress(r.o.From)
	if err != nil {
		return nil, thread{}, err
	}
	attached := m.Letter
	if attached != nil { // the text need not say where the file is
		l := *m.Letter
		l.File, m.Letter = nil, &l
	}
	title, body := m.Plain()
	t, first := thread{}, m.Told == notify.Receipt{}
	if !first {
		_ = json.Unmarshal([]byte(m.Told.Ref), &t) // what is none was told by another receiver of this name
	}
	id := idOf(m, first, from.Address)
	mailed := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if t.Root == "" {
		t = thread{Root: id, Subject: notify.Cut(strings.Join(strings.Fields(title), " "), mostSubject)}
		mailed.Subject(t.Subject)
	} else {
		mailed.Subject("Re: " + t.Subject)
		mailed.SetGenHeader("In-Reply-To", "<"+t.Root+">")
		mailed.SetGenHeader("References", "<"+t.Root+">")
		body = title + "\n" + body // the subject is that of the first
	}
	mailed.FromMailAddress(from)
	for _, to := range r.o.To {
		if err := mailed.AddTo(to); err != nil {
			return nil, thread{}, err
		}
	}
	mailed.SetMessageIDWithValue(id)
	mailed.SetDateWithValue(r.o.Now())
	mailed.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no machine answers it
	mailed.SetGenHeader("X-Auto-Response-Suppress", "All")  // likewise, of Exchange
	if m.Letter == nil && !m.Over() && m.Severity() == finding.Critical {
		mailed.SetImportance(gomail.ImportanceHigh)
	}
	mailed.SetBodyString(gomail.TypeTextPlain, strings.TrimSpace(body)+"\n")
	if attached != nil && attached.File != nil {
		if err := mailed.AttachReader(attached.File.Name, bytes.NewReader(attached.File.Content)); err != nil {
			return nil, thread{}, err
		}
	}
	var out bytes.Buffer
	_, err = mailed.WriteTo(&out)
	return out.Bytes(), t, err
}

// idOf is a Message-ID, without brackets: the same for the same mail, and for no other of any installation.
func idOf(m notify.Message, first bool, from string) string {
	of := m.Key
	if !first {
		of += "\x00" + m.TurnKey
	}
	sum := sha256.Sum256([]byte(of))
	_, domain, _ := strings.Cut(from, "@")
	return "keyrounds." + hex.EncodeToString(sum[:12]) + "@" + domain
}
