package grafana

import (
	"maps"
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

type kind int

// The kinds of panels.
const (
	lines kind = iota // over time
	stacked
	number // as it is now
	names  // as it is now: the labels are the answer
	list   // a table, as it is now
	heat   // a histogram over time
	states // over time
)

// panel is a panel before the SDK makes it.
type panel struct {
	kind    kind
	title   string
	about   string // what it says, and what to do about it
	unit    string // Grafana's name of it
	width   uint32 // of 24
	queries []query
	steps   []step            // of a number: from which value on it has which colour
	columns map[string]string // of a list: what labels are called; Value for the value
}

type query struct{ expr, legend string }

type step struct {
	from   float64
	colour string
}

var heights = map[kind]uint32{number: 4, names: 4, list: 9, states: 5}

// colours of names that mean the same everywhere.
var colours = map[string]string{
	"healthy": "green", "ok": "green", "degraded": "yellow", "suspect": "orange", "revoked": "red", "pending": "blue", "unknown": "gray",
	"rejected": "red", "critical": "red", "warning": "orange", "info": "blue",
}

// dressed is what the builders of all panels have.
type dressed[B any] interface {
	Id(uint32) B
	Title(string) B
	Description(string) B
	Datasource(common.DataSourceRef) B
	Height(uint32) B
	Span(uint32) B
	Unit(string) B
	WithTarget(cog.Builder[variants.Dataquery]) B
	OverrideByName(string, []dashboard.DynamicConfigValue) B
}

func dress[B dressed[B]](b B, p panel, id uint32) B {
	h := heights[p.kind]
	if h == 0 {
		h = 8
	}
	b.Id(id).Title(p.title).Description(p.about).Datasource(source).Height(h).Span(p.width).Unit(p.unit)
	for i, q := range p.queries {
		b.WithTarget(q.build(p.kind, string(rune('A'+i))))
	}
	if p.kind == lines || p.kind == stacked || p.kind == states {
		for _, name := range slices.Sorted(maps.Keys(colours)) {
			b.OverrideByName(
				name,
				[]dashboard.DynamicConfigValue{{Id: "color", Value: map[string]any{"mode": "fixed", "fixedColor": colours[name]}}},
			)
		}
	}
	return b
}

func (q query) build(k kind, ref string) cog.Builder[variants.Dataquery] {
	b := prometheus.NewDataqueryBuilder().Expr(q.expr).LegendFormat(q.legend).RefId(ref)
	switch k {
	case number, names:
		b.Instant()
	case list:
		b.Instant().Format(prometheus.PromQueryFormatTable)
	case heat:
		b.Range().Format(prometheus.PromQueryFormatHeatmap)
	default:
		b.Range()
	}
	return b
}

func (p panel) build(id uint32) cog.Builder[dashboard.Panel] {
	switch p.kind {
	case number:
		return dress(stat.NewPanelBuilder(), p, id).
			ColorMode(common.BigValueColorModeValue).
			GraphMode(common.BigValueGraphModeNone).
			Thresholds(p.thresholds()).
			ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds))
	case names:
		return dress(stat.NewPanelBuilder(), p, id).
			GraphMode(common.BigValueGraphModeNone).
			TextMode(common.BigValueTextModeName).
			ColorMode(common.BigValueColorModeNone)
	case list:
		b := dress(table.NewPanelBuilder(), p, id).
			Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{"sum"})).
			WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
				"excludeByName": map[string]bool{"Time": true}, "renameByName": p.columns,
			}})
		if p.unit != "" { // the labels are texts
			b.Unit("").OverrideByName(p.columns["Value"], []dashboard.DynamicConfigValue{{Id: "unit", Value: p.unit}})
		}
		return b
	case heat:
		return dress(heatmap.NewPanelBuilder(), p, id).
			Calculate(false).
			YAxis(heatmap.NewYAxisConfigBuilder().Unit(p.unit)).
			Color(heatmap.NewHeatmapColorOptionsBuilder().Mode(heatmap.HeatmapColorModeScheme).Scheme("Oranges").Steps(64))
	case states:
		return dress(statetimeline.NewPanelBuilder(), p, id).
			ShowValue(common.VisibilityModeNever).
			MergeValues(true).
			Thresholds(p.thresholds())
	}
	legend := common.NewVizLegendOptionsBuilder().
		DisplayMode(common.LegendDisplayModeList).
		Placement(common.LegendPlacementBottom).
		ShowLegend(true)
	b := dress(timeseries.NewPanelBuilder(), p, id).
		Min(0).
		LineWidth(1).
		ShowPoints(common.VisibilityModeNever).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending)).
		Legend(legend)
	if p.kind == stacked {
		b.FillOpacity(40).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
	}
	return b
}

func (p panel) thresholds() cog.Builder[dashboard.ThresholdsConfig] {
	all := []dashboard.Threshold{{Color: "green"}}
	if len(p.steps) == 0 {
		all[0].Color = "text"
	}
	for i, s := range p.steps {
		if i == 0 && s.from == 0 { // where low is bad
			all[0].Color = s.colour
			continue
		}
		all = append(all, dashboard.Threshold{Value: new(s.from), Color: s.colour})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(all)
}
