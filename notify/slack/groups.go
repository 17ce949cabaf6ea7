package slack

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// groups knows who is in the user groups that may act (scope usergroups:read), for groupsFor at a time.
type groups struct {
	mu      sync.Mutex
	members map[string][]string
	read    time.Time
}

const groupsFor = 5 * time.Minute

// allow reports whether user is in list, or in a user group of it. A group that cannot be read has no members.
func (g *groups) allow(ctx context.Context, api *slack.Client, list []string, user string, now time.Time) bool {
	if slices.Contains(list, "*") || slices.Contains(list, user) {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.read) > groupsFor {
		g.members, g.read = map[string][]string{}, now
	}
	for _, id := range list {
		if !strings.HasPrefix(id, "S") {
			continue
		}
		members, known := g.members[id]
		if !known {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			var err error
			members, err = api.GetUserGroupMembersContext(ctx, id)
			cancel()
			if err != nil {
				continue
			}
			g.members[id] = members
		}
		if slices.Contains(members, user) {
			return true
		}
	}
	return false
}
