package shoutrrr

import (
	"net/http"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/discord"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/rocketchat"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/incident/pagerduty"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ntfy"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/pushover"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/keyrounds/keyrounds/outbound"
)

// Guarded lists, by their URL schemes, the services whose requests go through package outbound: they let their HTTP
// client be replaced. The others send with a client of their own, so a redirect is followed there, and
// notifications.proxy does not hold (docs/security.md names them).
func Guarded() []string {
	return []string{"discord", "gotify", "mattermost", "ntfy", "pagerduty", "pushover", "rocketchat"}
}

// guard has a service send as policy says, if it lets its client be replaced. What the service URL says of
// TLS stays. The error is that of the policy.
func guard(policy outbound.Policy, service types.Service) error {
	client, err := outbound.Client(policy)
	if err != nil {
		return err
	}
	switch s := service.(type) {
	case *discord.Service:
		s.HTTPClient = client
	case *pagerduty.Service:
		s.SetHTTPClient(client)
	case *pushover.Service:
		s.Client = client
	case *rocketchat.Service:
		s.Client = client
	case *ntfy.Service:
		verify(client, !s.Config.DisableTLSVerification)
		s.SetHTTPClient(client)
	case interface{ GetHTTPClient() *http.Client }: // gotify, mattermost
		own := s.GetHTTPClient()
		if way, ok := own.Transport.(*http.Transport); ok && way != nil && way.TLSClientConfig != nil {
			verify(client, !way.TLSClientConfig.InsecureSkipVerify)
		}
		*own = *client
	}
	return nil
}

func verify(client *http.Client, certificates bool) {
	if way, ok := client.Transport.(*http.Transport); ok {
		way.TLSClientConfig.InsecureSkipVerify = !certificates
	}
}
