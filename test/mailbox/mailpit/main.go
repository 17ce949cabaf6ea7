// Command mailpit is Mailpit for the tests: a mail server that keeps what it gets, and shows it by an API.
package main

import "github.com/axllent/mailpit/cmd"

func main() { cmd.Execute() }
