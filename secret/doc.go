// Package secret holds secrets, finds them by reference, seals them, and takes them out of
// text that came from outside.
//
// It stores nothing: sealed bytes are kept by the registry. Only this package and cmd read
// environment variables.
package secret
