package report

import (
	"fmt"
	"html/template"
	"strings"
)

// The charts are SVG made of numbers and of texts of our own: nothing from outside is in them. Series
// differ in pattern, so that they read without colour.

const patterns = `<defs>` +
	`<pattern id="p-unused" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">` +
	`<rect width="6" height="6" fill="#fff"/><rect width="3" height="6" fill="#333"/></pattern>` +
	`<pattern id="p-never" width="5" height="5" patternUnits="userSpaceOnUse">` +
	`<rect width="5" height="5" fill="#fff"/><circle cx="2.5" cy="2.5" r="1.4" fill="#333"/></pattern>` +
	`<pattern id="p-canary" width="5" height="5" patternUnits="userSpaceOnUse">` +
	`<rect width="5" height="5" fill="#fff"/><rect width="5" height="1.5" fill="#333"/></pattern>` +
	`</defs>`

var series = []struct {
	name, fill string
	value      func(Summary) int
}{
	{"used", "#555", func(s Summary) int { return s.Used }},
	{"unused", "url(#p-unused)", func(s Summary) int { return s.Unused }},
	{"never used", "url(#p-never)", func(s Summary) int { return s.NeverUsed }},
	{"not known", "#fff", func(s Summary) int { return s.NotKnown }},
	{"canary", "url(#p-canary)", func(s Summary) int { return s.Canaries }},
}

// trendChart stacks the answers of each month.
func trendChart(points []Point) template.HTML {
	const width, height, left, bottom, top = 520, 200, 34, 22, 24
	most := 1
	for _, p := range points {
		most = max(most, p.Registered)
	}
	var b strings.Builder
	fmt.Fprintf(
		&b,
		`<svg role="img" viewBox="0 0 %d %d" xmlns="http://www.w3.org/2000/svg" aria-label="Credentials by month">%s`,
		width,
		height,
		patterns,
	)
	x := left
	for _, s := range series {
		fmt.Fprintf(
			&b,
			`<rect x="%d" y="4" width="11" height="11" fill="%s" stroke="#333"/><text x="%d" y="14">%s</text>`,
			x,
			s.fill,
			x+16,
			s.name,
		)
		x += 30 + 8*len(s.name)
	}
	scale := float64(height-bottom-top) / float64(most)
	for _, tick := range ticks(most) {
		y := float64(height-bottom) - float64(tick)*scale
		fmt.Fprintf(
			&b,
			`<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ccc"/><text x="%d" y="%.1f" text-anchor="end">%d</text>`,
			left,
			width,
			y,
			y,
			left-5,
			y+4,
			tick,
		)
	}
	step := float64(width-left) / float64(max(1, len(points)))
	for i, p := range points {
		x, y := float64(left)+float64(i)*step+step*0.18, float64(height-bottom)
		for _, s := range series {
			h := float64(s.value(p.Summary)) * scale
			if h == 0 {
				continue
			}
			y -= h
			fmt.Fprintf(
				&b,
				`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" stroke="#333" stroke-width=".7">`+
					`<title>%s: %d %s</title></rect>`,
				x,
				y,
				step*0.64,
				h,
				s.fill,
				p.Month,
				s.value(p.Summary),
				s.name,
			)
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, x+step*0.32, height-7, monthLabel(p.Month))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // made of numbers and of texts of our own
}

func monthLabel(s string) string {
	m, err := ParseMonth(s)
	if err != nil {
		return ""
	}
	if m.first.Month() == 1 {
		return m.first.Format("2006")
	}
	return m.first.Format("Jan")
}

// ticks are at most five round numbers up to most.
func ticks(most int) []int {
	step := 1
	for i := 0; most/step > 4; i++ {
		step = []int{1, 2, 5}[i%3] * pow10(i/3)
	}
	var all []int
	for t := 0; t <= most; t += step {
		all = append(all, t)
	}
	return all
}

func pow10(n int) int {
	p := 1
	for range n {
		p *= 10
	}
	return p
}

// agesChart is a bar for each bucket.
func agesChart(buckets []Bucket) template.HTML {
	const width, rowHeight, left = 330, 30, 116
	most := 1
	for _, k := range buckets {
		most = max(most, k.N)
	}
	var b strings.Builder
	fmt.Fprintf(
		&b,
		`<svg role="img" viewBox="0 0 %d %d" xmlns="http://www.w3.org/2000/svg" aria-label="Age of secrets">`,
		width,
		rowHeight*len(buckets)+8,
	)
	for i, k := range buckets {
		y, w := i*rowHeight+6, float64(k.N)/float64(most)*float64(width-left-40)
		fmt.Fprintf(
			&b,
			`<text x="%d" y="%d" text-anchor="end">%s</text>`+
				`<rect x="%d" y="%d" width="%.1f" height="18" fill="#777" stroke="#333" stroke-width=".7"/>`+
				`<text x="%.1f" y="%d">%d</text>`,
			left-8,
			y+14,
			k.Label,
			left,
			y,
			max(w, 0.5),
			float64(left)+w+7,
			y+14,
			k.N,
		)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // made of numbers and of texts of our own
}
