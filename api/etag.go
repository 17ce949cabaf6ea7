package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
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
