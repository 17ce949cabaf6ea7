//go:build race

package backup

// usualFactor is scrypt's where the race detector makes it ten times as slow, which is in tests only.
const usualFactor = 12
