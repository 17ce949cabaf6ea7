package usage

import "fmt"

// OwnText says by which rule how many records were told to be our own checks; "": none was.
func (c Counts) OwnText() string {
	if c.Own() == 0 {
		return ""
	}
	return fmt.Sprintf("own checks taken out: %d by token, %d by nonce, %d by address and time, %d by time alone",
		c[ResultOwnToken], c[ResultOwnNonce], c[ResultOwnAddress], c[ResultOwnTime])
}
