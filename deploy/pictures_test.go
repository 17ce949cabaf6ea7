package deploy_test

import (
	"cmp"
	"flag"
	"fmt"
	"html"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

// Pictures for docs/operations.md: the dashboards' own queries on a real Prometheus, drawn simply, by Chromium.
// They show what is on a panel, not how Grafana draws it.
var pictures = flag.String("pictures", "", "after the demo's story, draw the dashboards into this directory")

const (
	columnWidth = 52 // pixels of a 24th
	rowHeight   = 30
)

func (l *live) draw(t *testing.T) {
	time.Sleep(time.Until(l.began.Add(92 * time.Second))) // the whole story
	for name, b := range boards(t) {
		var page strings.Builder
		bottom := 0
		for _, p := range b.Panels {
			g := p.GridPos
			bottom = max(bottom, g.Y+g.H)
			style := fmt.Sprintf(
				"left:%dpx;top:%dpx;width:%dpx;height:%dpx",
				g.X*columnWidth+4,
				g.Y*rowHeight+40,
				g.W*columnWidth-8,
				g.H*rowHeight-8,
			)
			if p.Type == "row" {
				fmt.Fprintf(&page, `<div class="row" style=%q>%s</div>`, style, html.EscapeString(p.Title))
				continue
			}
			var all []series
			for _, q := range p.Targets {
				data, err := l.ask(t, chosen(name, q.Expr), q.Instant)
				if err != nil {
					t.Fatal(err)
				}
				for i := range data {
					data[i].labels["legend"] = model.LabelValue(legend(q.LegendFormat, data[i].labels))
				}
				all = append(all, data...)
			}
			w, h := g.W*columnWidth-24, g.H*rowHeight-44
			body := ""
			unit := p.FieldConfig.Defaults.Unit
			for _, o := range p.FieldConfig.Overrides {
				for _, prop := range o.Properties {
					if text, ok := prop.Value.(string); ok && prop.ID == "unit" {
						unit = text
					}
				}
			}
			if p.FieldConfig.Defaults.Custom.Stacking.Mode == "normal" {
				stack(all)
			}
			switch p.Type {
			case "stat":
				body = big(all, unit)
			case "table":
				body = rows(all, unit)
			case "heatmap":
				body = cells(all, w, h)
			default:
				body = chart(all, w, h, unit, p.Type == "state-timeline")
			}
			fmt.Fprintf(&page, `<div class="panel" style=%q><b>%s</b>%s</div>`, style, html.EscapeString(p.Title), body)
		}
		l.shoot(t, name, b.Title, page.String(), bottom*rowHeight+50)
	}
}

func legend(format string, labels model.Metric) string {
	for k, v := range labels {
		format = strings.ReplaceAll(format, "{{"+string(k)+"}}", string(v))
	}
	return strings.TrimSpace(missing.ReplaceAllString(format, ""))
}

var missing = regexp.MustCompile(`\{\{[^}]*\}\}`)

// stack puts each series on those before it.
func stack(all []series) {
	under := map[model.Time]model.SampleValue{}
	for i := range all {
		for j, p := range all[i].points {
			under[p.Timestamp] += p.Value
			all[i].points[j].Value = under[p.Timestamp]
		}
	}
}

func (l *live) shoot(t *testing.T, name, title, body string, height int) {
	t.Helper()
	page := `<!doctype html><meta charset="utf-8"><style>
		body{margin:0;background:#f4f5f7;font:12px sans-serif;position:relative;color:#24292e} h1{font-size:16px;margin:8px 8px 0}
		.panel,.row{position:absolute;box-sizing:border-box}
		.panel{background:#fff;border:1px solid #dcdfe4;border-radius:3px;padding:6px 8px;overflow:hidden}
		.row{font-weight:bold;color:#555;padding:6px 2px} .big{font-size:26px;text-align:center;margin-top:14px}
		table{width:100%;border-collapse:collapse;margin-top:6px}
		td,th{text-align:left;padding:1px 6px 1px 0;border-bottom:1px solid #eee;white-space:nowrap}
		.key{margin-right:10px;white-space:nowrap}</style><h1>` + html.EscapeString(title) + `</h1>` + body
	path := filepath.Join(t.TempDir(), name+".html")
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	to, err := filepath.Abs(filepath.Join(*pictures, "dashboard-"+name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir="+t.TempDir(),
		fmt.Sprintf("--window-size=%d,%d", 24*columnWidth+8, height), "--screenshot="+to, "file://"+path).CombinedOutput()
	if err != nil {
		t.Fatalf("chromium: %v: %s", err, out)
	}
}

func big(all []series, unit string) string {
	var texts []string
	for _, s := range all {
		texts = append(texts, cmp.Or(string(s.labels["legend"]), value(float64(s.points[0].Value), unit)))
	}
	return `<div class="big">` + html.EscapeString(strings.Join(texts, ", ")) + `</div>`
}

func rows(all []series, unit string) string {
	var b strings.Builder
	for i, s := range all {
		delete(s.labels, "legend")
		var names []string
		for k := range s.labels {
			names = append(names, string(k))
		}
		slices.Sort(names)
		if i == 0 {
			b.WriteString("<table><tr><th>" + strings.Join(names, "<th>") + "<th>Value</tr>")
		}
		b.WriteString("<tr>")
		for _, k := range names {
			b.WriteString("<td>" + html.EscapeString(string(s.labels[model.LabelName(k)])))
		}
		b.WriteString("<td>" + value(float64(s.points[0].Value), unit) + "</tr>")
	}
	return b.String() + "</table>"
}

var palette = []string{"#7EB26D", "#EAB839", "#6ED0E0", "#EF843C", "#E24D42", "#1F78C1", "#BA43A9", "#705DA0", "#508642", "#CCA300"}

var fixed = map[string]string{
	"healthy":  "#56a64b",
	"ok":       "#56a64b",
	"degraded": "#e0b400",
	"suspect":  "#ff780a",
	"revoked":  "#e02f44",
	"rejected": "#e02f44",
	"pending":  "#3274d9",
}

// chart draws lines, or, of states, a band of each where it holds.
func chart(all []series, w, h int, unit string, bands bool) string {
	from, to, top := math.Inf(1), math.Inf(-1), 0.0
	for _, s := range all {
		from, to = min(from, float64(s.points[0].Timestamp)), max(to, float64(s.points[len(s.points)-1].Timestamp))
		for _, p := range s.points {
			top = max(top, float64(p.Value))
		}
	}
	if top == 0 {
		top = 1
	}
	x := func(p model.SamplePair) float64 { return (float64(p.Timestamp) - from) / max(1, to-from) * float64(w) }
	high := float64(h - 18)
	var b, keys strings.Builder
	for i, s := range all {
		name := string(s.labels["legend"])
		colour := cmp.Or(fixed[name], palette[i%len(palette)])
		if bands {
			y, step := float64(i)*high/float64(len(all)), high/float64(len(all))
			for j, p := range s.points[:len(s.points)-1] {
				if p.Value > 0 {
					fmt.Fprintf(
						&b,
						`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`,
						x(p),
						y+1,
						x(s.points[j+1])-x(p)+1,
						step-2,
						colour,
					)
				}
			}
			fmt.Fprintf(&b, `<text x="2" y="%.1f" font-size="10">%s</text>`, y+step/2+4, html.EscapeString(name))
			continue
		}
		b.WriteString(`<path fill="none" stroke-width="1.5" stroke="` + colour + `" d="`)
		for j, p := range s.points {
			to := "L"
			if j == 0 || p.Timestamp.Sub(s.points[j-1].Timestamp) > time.Second { // it was away
				to = "M"
			}
			fmt.Fprintf(&b, "%s%.1f %.1f", to, x(p), high-float64(p.Value)/top*(high-4))
		}
		b.WriteString(`"/>`)
		fmt.Fprintf(&keys, `<span class="key" style="color:%s">▬ %s</span>`, colour, html.EscapeString(name))
	}
	if !bands {
		fmt.Fprintf(&b, `<text x="2" y="10" font-size="10" fill="#777">%s</text>`, value(top, unit))
	}
	return fmt.Sprintf(
		`<svg width="%d" height="%.0f" style="display:block;margin-top:4px;border-bottom:1px solid #ddd">%s</svg><div>%s</div>`,
		w,
		high,
		b.String(),
		keys.String(),
	)
}

// cells draws a histogram over time; classic buckets hold those below them as well.
func cells(all []series, w, h int) string {
	bound := func(s series) float64 {
		var v float64
		if _, err := fmt.Sscan(string(s.labels["le"]), &v); err != nil {
			return math.Inf(1)
		}
		return v
	}
	slices.SortFunc(all, func(a, b series) int { return cmp.Compare(bound(a), bound(b)) })
	var b strings.Builder
	step := float64(h) / float64(max(1, len(all)))
	for i, s := range all {
		width := float64(w) / float64(len(s.points))
		for j, p := range s.points {
			n := float64(p.Value)
			if i > 0 && j < len(all[i-1].points) {
				n -= float64(all[i-1].points[j].Value)
			}
			if n > 0.01 {
				fmt.Fprintf(
					&b,
					`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#d9480f" fill-opacity="%.2f"/>`,
					40+float64(j)*width*float64(w-40)/float64(w),
					float64(h)-float64(i+1)*step,
					width+.5,
					step,
					min(1, .15+n/20),
				)
			}
		}
		fmt.Fprintf(&b, `<text x="0" y="%.1f" font-size="9" fill="#777">%s</text>`, float64(h)-float64(i)*step-2, s.labels["le"])
	}
	return fmt.Sprintf(`<svg width="%d" height="%d" style="display:block;margin-top:4px">%s</svg>`, w, h, b.String())
}

func value(v float64, unit string) string {
	switch unit {
	case "percentunit":
		return fmt.Sprintf("%.1f %%", v*100)
	case "s":
		if v >= 172800 {
			return fmt.Sprintf("%.0f days", v/86400)
		}
		if v >= 10 {
			return time.Duration(v * float64(time.Second)).Round(time.Second).String()
		}
		return time.Duration(v * float64(time.Second)).Round(100 * time.Microsecond).String()
	case "bytes":
		return fmt.Sprintf("%.1f GB", v/1e9)
	case "dateTimeFromNow":
		return time.Since(time.UnixMilli(int64(v))).Round(time.Second).String() + " ago"
	case "ops":
		return fmt.Sprintf("%.3g/s", v)
	}
	return fmt.Sprintf("%.4g", v)
}
