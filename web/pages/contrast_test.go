package pages_test

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// Text has a contrast of 4.5 to what it stands on, marks and borders of controls 3, in both themes (WCAG 2.2, 1.4.3 and 1.4.11).
func TestContrast(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("static/tokens.css")
	if err != nil {
		t.Fatal(err)
	}
	pair := regexp.MustCompile(`--([a-z0-9-]+):\s*light-dark\((#[0-9a-fA-F]{6}), (#[0-9a-fA-F]{6})\)`)
	var themes [2]map[string]float64
	for i := range themes {
		themes[i] = map[string]float64{}
		for _, m := range pair.FindAllStringSubmatch(string(text), -1) {
			themes[i][m[1]] = luminance(m[2+i])
		}
	}
	grounds := []string{"bg", "surface", "sunken", "hover", "select"}
	for i, theme := range themes {
		check := func(what, on string, least float64) {
			a, okA := theme[what]
			b, okB := theme[on]
			c := (max(a, b) + 0.05) / (min(a, b) + 0.05)
			if !okA || !okB || c < least {
				t.Errorf("%s on %s in the %s theme: %.2f, want %.1f (%v, %v)", what, on, []string{"light", "dark"}[i], c, least, okA, okB)
			}
		}
		for _, ground := range grounds {
			for _, ink := range []string{"ink", "ink-2", "ink-3", "link"} {
				check(ink, ground, 4.5)
			}
			check("control", ground, 3)
			check("focus", ground, 3)
			for _, state := range []string{"ok", "less", "sus", "bad", "info", "idle"} {
				check(state+"-text", ground, 4.5)
				check(state+"-mark", ground, 3)
			}
		}
		for _, state := range []string{"ok", "less", "sus", "bad", "info", "idle"} {
			check(state+"-text", state+"-wash", 4.5)
			check(state+"-mark", state+"-wash", 3)
		}
		check("on-primary", "primary", 4.5)
	}
}

// luminance is the relative one of sRGB (WCAG 2.2).
func luminance(hex string) float64 {
	n, err := strconv.ParseUint(hex[1:], 16, 32)
	if err != nil {
		panic(fmt.Sprint(hex, err))
	}
	part := func(shift int) float64 {
		v := float64(n>>shift&0xff) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*part(16) + 0.7152*part(8) + 0.0722*part(0)
}
