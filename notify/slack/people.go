package slack

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// people knows the members of a workspace by their e-mail addresses (users.lookupByEmail, scope users:read.email), for
// peopleFor at a time.
type people struct {
	mu sync.Mutex
	by map[string]person
}

type person struct {
	mention string // "": there is none of that address, or it could not be asked
	asked   time.Time
}

const peopleFor = 10 * time.Minute

var userID = regexp.MustCompile(`^[UW][A-Z0-9]{2,20}$`)

// mention replaces the e-mail addresses of a mention by the members that have them. Who is not found is named by the
// address, and not called.
func (p *people) mention(ctx context.Context, api *slack.Client, text string, now time.Time) string {
	if !strings.Contains(text, "@") {
		return text
	}
	words := strings.Fields(text)
	for i, w := range words {
		if strings.HasPrefix(w, "<") || !strings.Contains(w, "@") {
			continue
		}
		if words[i] = p.of(ctx, api, w, now); words[i] == "" {
			words[i] = escape(w, 200)
		}
	}
	return strings.Join(words, " ")
}

func (p *people) of(ctx context.Context, api *slack.Client, address string, now time.Time) string {
	p.mu.Lock()
	known, is := p.by[address]
	p.mu.Unlock()
	if is && now.Sub(known.asked) < peopleFor {
		return known.mention
	}
	found := person{asked: now}
	if u, err := api.GetUserByEmailContext(ctx, address); err == nil && u != nil && userID.MatchString(u.ID) {
		found.mention = "<@" + u.ID + ">"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = map[string]person{}
	}
	p.by[address] = found
	return found.mention
}
