package rounds

import "time"

// Unstored returns since when this process has had results that it could not store; zero: there are none. A moment is
// ordinary.
func (r *Rounds) Unstored() (since time.Time) {
	r.running.Range(func(key, _ any) bool {
		if at := key.(*stream).storesSince.Load(); at != 0 && (since.IsZero() || at < since.UnixNano()) {
			since = time.Unix(0, at)
		}
		return true
	})
	return since
}
