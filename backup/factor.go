//go:build !race

package backup

// usualFactor is scrypt's, by which a try takes a second: 0 is that of age.
const usualFactor = 0
