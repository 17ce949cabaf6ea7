//go:build !linux

package main

import (
	"context"
	"errors"

	"github.com/keyrounds/keyrounds/config"
)

// checkAs is an error here.
func checkAs(context.Context, *config.Config, string, []string) error {
	return &hintError{errors.New("--user works only on Linux"), "run it as that user, without --user"}
}
