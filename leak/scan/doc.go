// Package scan searches files, archives and git histories for secrets and client ids that are known.
//
// It finds exactly what it is given, in every usual way to write it, and guesses nothing: it knows no patterns of
// secrets. It keeps nothing and knows no database; what a find means is the business of package leak.
package scan
