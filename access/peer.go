package access

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
)

// Peer is the user of the operating system at the other end of the socket, as the kernel says (SO_PEERCRED, unix(7)), and the role that
// he has by that.
type Peer struct {
	Name string // "user ann (uid 1000)"
	Role Role   // "": he is refused
}

type peerKey struct{}

const overflowUID = 65534 // user_namespaces(7)

// WithPeer says in the context of a connection who is at its other end. Requests of it are his, whatever they bring.
func WithPeer(ctx context.Context, p Peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

func (p Peer) visit() (Visit, error) {
	if p.Role == "" {
		return Visit{Who: Who{Name: p.Name}}, ErrRefused
	}
	return Visit{Who: Who{Name: p.Name, Role: p.Role, Here: true}, Shown: p.Name}, nil
}

// Ourselves is the user who runs this process: an admin of what he runs.
func Ourselves() Who {
	p := peer(os.Getuid(), os.Getgid(), os.Getuid(), -1)
	return Who{Name: p.Name, Role: Admin, Here: true}
}

func peer(uid, gid, self, group int) Peer {
	p := Peer{Name: fmt.Sprintf("user %d (uid %d)", uid, uid)}
	u, err := user.LookupId(strconv.Itoa(uid))
	if err == nil {
		p.Name = fmt.Sprintf("user %s (uid %d)", u.Username, uid)
	}
	switch {
	case uid == overflowUID: // anybody whom our user namespace has no number for
	case uid == 0 || uid == self:
		p.Role = Admin
	case group >= 0 && (gid == group || err == nil && member(u, group)):
		p.Role = Responder
	}
	return p
}

// member: by the machine's own table of groups, so that who has left the group is out with his next connection.
func member(u *user.User, group int) bool {
	groups, err := u.GroupIds()
	return err == nil && slices.Contains(groups, strconv.Itoa(group))
}
