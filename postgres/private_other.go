//go:build !linux

package postgres

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Private is the server in a data_dir, which there is only on Linux.
type Private struct{}

type onlyLinuxError struct{ error }

func (onlyLinuxError) Hint() string { return "name a Postgres of your own: database.url" }

var errOnlyLinux error = onlyLinuxError{errors.New("the private Postgres runs only on Linux")}

// StartPrivate is an error here.
func StartPrivate(context.Context, PrivateOptions) (*Private, error) { return nil, errOnlyLinux }

// BuildPrivate is an error here.
func BuildPrivate(context.Context, PrivateOptions, func(context.Context, *Private) error) error {
	return errOnlyLinux
}

// Made is false: there is none here.
func Made(string) bool { return false }

// URL is empty here.
func (*Private) URL() string { return "" }

// AdminURL is empty here.
func (*Private) AdminURL() string { return "" }

// Watch shows nothing here.
func (*Private) Watch(prometheus.Registerer) {}

// Stop does nothing here.
func (*Private) Stop() {}
