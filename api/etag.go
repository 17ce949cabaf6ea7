package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
)

// tagOf is the ETag of a credential: of what people say of it, and of when its secret changed. Its checks do not change it.
func tagOf(c credential.Credential) string {
	c.NextCheck, c.NextWhy = time.Time{}, ""
	sealed := sha256.Sum256(c.Sealed)
	c.Sealed = nil
	b, err := json.Marshal([]any{c, hex.EncodeToString(sealed[:]), c.Changed.UnixMicro()})
	if err != nil {
		panic(err) // no value of it can fail
	}
	sum := sha256.Sum256(b)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// tagOfFinding is the ETag of a finding. When a refused credential is looked at next is no change of it.
func tagOfFinding(f finding.Finding) string {
	return `"` + strconv.FormatInt(f.ID, 36) + "-" + strconv.FormatInt(f.UpdatedAt.UnixMicro(), 36) + "-" + string(f.State) + `"`
}

// OnlyIf is what every change can be asked for.
type OnlyIf struct {
	Match string `header:"If-Match" maxLength:"500" doc:"The ETag it was read with: what was changed since stays as it is (412)."`
}

// fits says that a thing is as whoever asks read it. "" and "*" fit anything that there is.
func (o OnlyIf) fits(tag string) error {
	if o.Match == "" || o.Match == "*" {
		return nil
	}
	given := strings.Split(o.Match, ",")
	if slices.ContainsFunc(given, func(t string) bool { return strings.TrimPrefix(strings.TrimSpace(t), "W/") == tag }) {
		return nil
	}
	return problem(http.StatusPreconditionFailed, fmt.Sprintf("It was changed since you read it: its ETag is %s now. Read it again.", tag))
}
