package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/notify"
)

// mostSkew is how far our clock may be from a provider's before assertions and findings suffer.
const mostSkew = 30 * time.Second

// provider looks up the name of a provider's token endpoint, and asks its host for an answer without any credential; the probes of API
// keys as well.
func (p *patient) provider(of checker.Provider) func(context.Context) []remark {
	return func(ctx context.Context) []remark {
		if of.Passive && of.Endpoint() == "" {
			return []remark{{Check: "provider", Subject: of.Name, Result: fine, Message: "it is passive: never asked"}}
		}
		c := checker.New(checker.Options{Version: buildVersion(), Now: time.Now})
		all := remarksOf(of, c.Reach(ctx, of), time.Now())
		for _, url := range c.OpenProbes(ctx, of) {
			all = append(all, remark{
				Check: "probe", Subject: of.Name, Result: warning,
				Message: url + " answers without a key as well, so that it shows nothing of one",
				Advice:  "choose a probe that nobody may ask without a key: a revoked one would be called healthy",
			})
		}
		return all
	}
}

func remarksOf(of checker.Provider, r checker.Reached, now time.Time) []remark {
	answer := remark{Check: "provider", Subject: of.Name, Result: failed, Message: r.Message, Advice: adviceOn(r.Reading)}
	if r.Host != "" {
		answer.Message = r.Host + ": " + answer.Message
	}
	mutual := of.AuthMethod == checker.TLSClientAuth || of.AuthMethod == checker.SelfSignedTLSClientAuth
	switch {
	case r.Outcome != checker.OK && mutual && (r.Reason == checker.TLSFailed || r.Reason == checker.ConnectionLost):
		answer.Result, answer.Advice = fine, ""
		answer.Message = r.Host + " wants a client certificate, which only a check shows"
	case r.Outcome == checker.OK:
		answer.Result, answer.Advice = fine, ""
		answer.Message = fmt.Sprintf("%s answers, after %s", r.Host, r.Phases.Total.Round(time.Millisecond))
	}
	all := []remark{answer}
	if !r.CertExpiry.IsZero() {
		cert := remark{Check: "certificate", Subject: of.Name, Result: fine, Message: "it holds until " + stamp(r.CertExpiry)}
		if r.CertExpiry.Sub(now) < certificateSoon {
			cert.Result, cert.Message = warning, "it ends at "+stamp(r.CertExpiry)
			cert.Advice = "the provider has to replace it; many do so in the last days"
		}
		all = append(all, cert)
	}
	if r.Clock {
		clock := remark{Check: "clock", Subject: of.Name, Result: fine, Message: "it is that of " + r.Host + ", to a second or so"}
		if r.ClockSkew != 0 {
			clock.Message = fmt.Sprintf("that of %s differs by %s", r.Host, r.ClockSkew.Abs())
		}
		if r.ClockSkew.Abs() > mostSkew {
			clock.Result = warning
			clock.Advice = "have this machine's clock set by NTP; if the clocks of other providers agree with ours it is the provider's"
		}
		all = append(all, clock)
	}
	return all
}

// adviceOn says what to do where a provider could not be reached.
func adviceOn(r checker.Reading) string {
	switch r.Reason {
	case checker.DNSFailed:
		return "is the name in token_url or issuer right, and does this machine's name server answer (getent hosts NAME)?"
	case checker.AddressDenied:
		return "allow_private_networks: true lets it be there, if that is meant"
	case checker.ConnectFailed, checker.TimedOut, checker.ConnectionLost:
		return "look at the firewall between, at proxy of the provider, and at the provider's status page"
	case checker.TLSUnknownCA:
		return "tls.ca_file of the provider names authorities of your own; a proxy that reads TLS shows as this as well"
	case checker.TLSWrongHost, checker.TLSExpired, checker.TLSFailed:
		return "is the address right, and is this machine's clock? Else the provider has to mend it"
	}
	return "see docs/providers.md; keyrounds check -v shows more"
}

// receivers asks each receiver, without sending, whether it would take a message.
func (p *patient) receivers() (all []examination) {
	list, err := app.Receivers(p.config)
	if err != nil {
		return []examination{{"receivers", func(context.Context) []remark {
			return []remark{{Check: "receivers", Result: failed, Message: err.Error(), Advice: "look at notifications.proxy"}}
		}}}
	}
	if len(list) == 0 {
		return []examination{{"receivers", func(context.Context) []remark {
			return []remark{{
				Check: "receivers", Result: warning, Message: "there is none: nobody is told of anything",
				Advice: "give slack or receivers in the configuration (docs/notifications.md)",
			}}
		}}}
	}
	for _, to := range list {
		if asked, ok := to.(notify.Reacher); ok {
			all = append(all, examination{"receiver " + to.Name(), func(ctx context.Context) []remark {
				return []remark{remarkOn(ctx, to.Name(), asked)}
			}})
		}
	}
	return all
}

func remarkOn(ctx context.Context, name string, to notify.Reacher) remark {
	r := remark{Check: "receiver", Subject: name, Result: fine}
	contact, err := to.Reach(ctx)
	var refused *notify.RefusedError
	switch {
	case errors.As(err, &refused):
		r.Result, r.Message, r.Advice = failed, err.Error(), refused.Fix
	case err != nil:
		r.Result, r.Message = failed, err.Error()
	case contact.Doubt != "":
		r.Result, r.Message, r.Advice = warning, contact.Says+"; "+contact.Doubt, contact.Fix
	default:
		r.Message = contact.Says
	}
	if r.Result == failed && r.Advice == "" {
		r.Advice = "look at its address in the configuration, the firewall between and notifications.proxy; then keyrounds notify test"
	}
	return r
}
