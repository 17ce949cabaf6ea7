// Command pgkeep runs a command, such as go test, with a Postgres whose data directory is kept between runs:
//
//	pgkeep DIR COMMAND [ARGUMENT...]
//
// Packages under test then share one server and one template, instead of making one each (make quick).
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: pgkeep DIR COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	code, err := keep(context.Background(), os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgkeep:", err)
	}
	os.Exit(code)
}

func keep(ctx context.Context, dir string, command []string) (code int, err error) {
	env, stop, err := pgtest.Keep(ctx, dir)
	if err != nil {
		return 2, err
	}
	defer stop()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 2, err
	}
	return 0, nil
}
