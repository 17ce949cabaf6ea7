package access

// Hashed is how many passwords were hashed.
func (a *Access) Hashed() int64 { return a.hashing.made.Load() }
