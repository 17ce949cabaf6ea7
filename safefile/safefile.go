// Package safefile works with files in directories that others may write to: who can put something there must not make
// keyrounds read or change something elsewhere by it.
package safefile

import (
	"fmt"
	"os/user"
	"strconv"
)

// LinkError says that a link was not followed, since who made it may not read what it leads to.
type LinkError struct {
	Path string
	UID  uint32 // who made it
}

func (e *LinkError) Error() string {
	return fmt.Sprintf("%s: it is a link of %s to a file that is not his: it is not followed", e.Path, UserName(e.UID))
}

// UserName is the name of a user, or what is known of him.
func UserName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}
