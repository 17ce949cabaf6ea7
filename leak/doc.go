// Package leak keeps the evidence that secrets of registered credentials got out, and follows each leak until the
// secret is proven dead.
//
// It joins all evidence of a credential in one finding, and proves that a leaked secret works no more. It guesses
// nothing: what no registered secret matches is counted as foreign and forgotten. It searches nothing (package
// leak/scan does), reads no report and checks no signature (package leak/intake does), and asks no provider: others
// try a secret, and tell it what came of that.
package leak
