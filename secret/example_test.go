package secret_test

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/keyrounds/keyrounds/secret"
)

// A Value cannot be printed; a Scrubber takes it out of the texts of others.
func ExampleValue() {
	v := secret.New([]byte("s3cret-value"))
	defer v.Wipe()
	fmt.Println(v)
	fmt.Printf("%+v %q\n", struct{ Secret secret.Value }{v}, v)
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"secret": v})
	fmt.Println(secret.NewScrubber(v).Clean("the provider says: s3cret-value is wrong", 100))
	// Output:
	// [redacted]
	// {Secret:[redacted]} [redacted]
	// {"secret":"[redacted]"}
	// the provider says: [redacted] is wrong
}
