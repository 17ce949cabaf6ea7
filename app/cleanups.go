package app

import (
	"errors"
	"slices"
	"sync"
)

// ErrStopped is returned by Start after Stop or Close: what was closed is not opened again.
var ErrStopped = errors.New("keyrounds was stopped; open it anew")

// cleanups is a stack of what has to be undone: what began last ends first.
type cleanups struct {
	mu   sync.Mutex
	ran  bool
	undo []func()
}

// push adds what undoes something that has just begun. After run it is done at once, and push is false.
func (c *cleanups) push(undo func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ran {
		undo()
		return false
	}
	c.undo = append(c.undo, undo)
	return true
}

// run undoes everything, once. Whoever calls it again waits until that is done.
func (c *cleanups) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ran = true
	for _, undo := range slices.Backward(c.undo) {
		undo()
	}
	c.undo = nil
}

func (c *cleanups) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ran
}
