// Package leak finds secrets of registered credentials where they should not be, and follows a leak
// until the secret is dead.
//
// It searches files, archives and git histories for exactly the secrets that are registered, reads
// what other scanners and transmitters of shared signals report, joins all evidence of a credential
// in one finding, and proves that a leaked secret works no more. It guesses nothing: what no
// registered secret matches is counted as foreign and forgotten.
package leak
