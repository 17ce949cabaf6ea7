package app

import (
	"fmt"
	"sync"
	"testing"
)

// What began last ends first, once, and whoever asks again waits for it.
func TestCleanups(t *testing.T) {
	t.Parallel()
	var (
		c     cleanups
		ended []int
		both  sync.WaitGroup
	)
	for i := range 3 {
		if !c.push(func() { ended = append(ended, i) }) {
			t.Error("it is over already")
		}
	}
	for range 2 {
		both.Go(func() {
			c.run()
			if fmt.Sprint(ended) != "[2 1 0]" {
				t.Errorf("ended %v", ended)
			}
		})
	}
	both.Wait()
	if c.push(func() { ended = append(ended, 9) }) || ended[len(ended)-1] != 9 {
		t.Errorf("what began after the end is still open: %v", ended)
	}
}
