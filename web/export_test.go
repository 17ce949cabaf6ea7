package web

import (
	"maps"
	"slices"
)

// RoutesOfMay are those of the table.
func RoutesOfMay() []string { return slices.Collect(maps.Keys(may)) }
