// Package grafana holds keyrounds' dashboards for Grafana. Its test writes them as JSON to dashboards/ and
// holds those files to the code.
//
// No daemon needs it.
package grafana

import (
	"encoding/json"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// Dashboard is one of them.
type Dashboard struct {
	Name      string // of its file, and its uid after keyrounds-
	title     string
	about     string
	variables []cog.Builder[dashboard.VariableModel]
	rows      []row
}

type row struct {
	title  string
	panels []panel
}

// All returns the dashboards, the one to begin with first.
func All() []Dashboard { return []Dashboard{fleet(), provider(), credential(), self()} }

// JSON returns what Grafana imports or is provisioned with.
func (d Dashboard) JSON() ([]byte, error) {
	//lint:ignore SA1019 the newer form needs Grafana 13; every Grafana in use imports this one
	b := dashboard.NewDashboardBuilder(d.title).Uid("keyrounds-"+d.Name).Description(d.about).Tags([]string{"keyrounds"}).
		Timezone("browser").Time("now-24h", "now").Refresh("1m").Editable().Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus"))
	for _, v := range d.variables {
		b.WithVariable(v)
	}
	b.Link(dashboard.NewDashboardLinkBuilder("keyrounds").
		Type(dashboard.DashboardLinkTypeDashboards).
		Tags([]string{"keyrounds"}).
		IncludeVars(true).
		KeepTime(true))
	id := uint32(0)
	for _, r := range d.rows {
		id++
		b.WithRow(dashboard.NewRowBuilder(r.title).Id(id))
		for _, p := range r.panels {
			id++
			b.WithPanel(p.build(id))
		}
	}
	built, err := b.Build()
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(built, "", "  ")
	return append(text, '\n'), err
}

var source = common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}

// choice is a variable whose values are those of a label.
func choice(name, label, query string, all bool) *dashboard.QueryVariableBuilder {
	v := dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(source).Query(dashboard.StringOrMap{String: &query}).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc)
	if all {
		v.IncludeAll(true).AllValue(".*").Multi(true)
	}
	return v
}
