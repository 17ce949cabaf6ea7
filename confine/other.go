//go:build !linux

package confine

import "errors"

// Become is an error: a process confines itself only on Linux.
func Become([]string) error { return errors.New("a program is confined only on Linux") }

// Apart calls f, which nothing confines here.
func Apart[T any](f func() T) T { return f() }

// Landlock is 0: only Linux has it.
func Landlock() int { return 0 }
