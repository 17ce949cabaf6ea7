package access

import (
	"crypto/rand"
	"hash/crc32"
	"math/big"
	"strings"
)

// The form of a token: kr_, 30 random characters of base62 (178 bits), and the CRC-32 (IEEE) of those in 6 more. As with
// GitHub's, a scanner of secrets knows it by the prefix and is never wrong, since the checksum must fit.
const (
	tokenPrefix = "kr_"
	tokenRandom = 30
	tokenSum    = 6

	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func newToken() string {
	text := randomText(tokenRandom)
	return tokenPrefix + text + checksum(text)
}

func wellFormed(token string) bool {
	rest, ok := strings.CutPrefix(token, tokenPrefix)
	return ok && len(rest) == tokenRandom+tokenSum && checksum(rest[:tokenRandom]) == rest[tokenRandom:]
}

func checksum(text string) string {
	b := make([]byte, tokenSum)
	n := crc32.ChecksumIEEE([]byte(text))
	for i := tokenSum - 1; i >= 0; i-- {
		b[i] = base62[n%62]
		n /= 62
	}
	return string(b)
}

// randomText is n characters of base62, each as likely as any other.
func randomText(n int) string {
	b := make([]byte, n)
	for i := range b {
		k, err := rand.Int(rand.Reader, big.NewInt(int64(len(base62))))
		if err != nil {
			panic(err) // rand.Reader never fails
		}
		b[i] = base62[k.Int64()]
	}
	return string(b)
}
