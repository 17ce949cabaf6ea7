// Package checker exchanges one credential for a token and reads the answer.
//
// It keeps nothing: no database, no memory between checks. What a result means over time is
// the verdict package's business.
package checker
