package sealing

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Status is what is known of the keys.
type Status struct {
	Path    string    `json:"path"`
	Current string    `json:"current"` // ID of the key that seals; "": none is registered yet
	Since   time.Time `json:"since"`
	InFile  []string  `json:"in_file"` // IDs of the keys of the file, the newest last
	// Sealed is how many things are sealed, by what they are and by the ID of the key.
	Sealed map[string]map[string]int `json:"sealed"`
	// KMS names the key that encrypts the file; "": the keys stand in it as they are.
	KMS string `json:"kms,omitempty"`
	// Unusable says that there is a file, and that its keys were not read: InFile is empty, and Problem says why.
	Unusable bool `json:"unusable,omitempty"`
	// Problem says what is wrong with the file, and what a person does about it; "": nothing.
	Problem string `json:"problem,omitempty"`
}

// Missing names the keys with which something is sealed and that the file has not, with how many things that are.
func (s Status) Missing() map[string]int {
	missing := map[string]int{}
	for _, byKey := range s.Sealed {
		for id, n := range byKey {
			if !slices.Contains(s.InFile, id) {
				missing[id] += n
			}
		}
	}
	return missing
}

// Status reads how things are. It makes and changes nothing.
func (k *Keeper) Status(ctx context.Context) (st Status, err error) {
	st = Status{Path: k.File.Path, InFile: []string{}}
	err = k.inTx(ctx, func(tx pgx.Tx) error {
		c, err := current(ctx, tx, "")
		if err != nil {
			return err
		}
		st.Current, st.Since = c.id, c.since.UTC()
		st.Sealed, err = k.count(ctx, tx)
		return err
	})
	if err != nil {
		return st, err
	}
	keys, problem := k.fresh(ctx)
	switch missing := st.Missing(); {
	case problem != nil:
		st.Unusable, st.Problem = true, problem.Error()
	case keys != nil:
		st.InFile = keys.IDs()
		if keys.Encrypted() {
			st.KMS = k.File.KMS.String()
		} else if k.File.KMS != nil {
			st.Problem = st.Path + " is not encrypted yet: keyrounds sealing rotate replaces its key by one that never was in clear"
		}
		if missing = st.Missing(); len(missing) == 0 {
			break
		}
		fallthrough
	case len(missing) > 0:
		for _, id := range sortedKeys(missing) {
			st.Problem = fmt.Sprintf("%d sealed with key %s, which is not in %s: restore it from your backup", missing[id], id, st.Path)
		}
	}
	return st, nil
}

func sortedKeys(m map[string]int) (keys []string) {
	for id := range m {
		keys = append(keys, id)
	}
	slices.Sort(keys)
	return keys
}
