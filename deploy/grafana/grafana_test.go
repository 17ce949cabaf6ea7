package grafana_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/keyrounds/keyrounds/deploy/grafana"
)

var update = flag.Bool("update", false, "write dashboards/ anew")

// The JSON in the tree is what the code makes, is read by the SDK strictly, and leaves nobody to guess.
func TestDashboards(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("dashboards/*.json")
	if err != nil || !*update && len(files) != len(grafana.All()) {
		t.Errorf("%d files, %v", len(files), err)
	}
	for _, d := range grafana.All() {
		text, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("dashboards", d.Name+".json")
		if *update {
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != string(text) {
			t.Errorf("%s is not what the code makes (go test ./deploy/grafana -update): %v", path, err)
		}
		plugins.RegisterDefaultPlugins()
		var back dashboard.Dashboard //lint:ignore SA1019 see JSON
		for _, err := range []error{back.UnmarshalJSONStrict(text), back.Validate()} {
			var list cog.BuildErrors // may be empty, and is not nil then
			if err != nil && (!errors.As(err, &list) || len(list) > 0) {
				t.Errorf("%s: %v", d.Name, err)
			}
		}
		ids := map[uint32]bool{}
		for _, p := range back.Panels {
			if p.Panel == nil {
				continue // a row
			}
			if p.Panel.Description == nil || *p.Panel.Description == "" || *p.Panel.Title == "" || len(p.Panel.Targets) == 0 {
				t.Errorf("%s: the panel %q has no title, no description or no query", d.Name, *p.Panel.Title)
			}
			if p.Panel.Id == nil || ids[*p.Panel.Id] {
				t.Errorf("%s: %q has no id of its own", d.Name, *p.Panel.Title)
			} else {
				ids[*p.Panel.Id] = true
			}
			if g := p.Panel.GridPos; g.X+g.W > 24 || g.W == 0 || g.H == 0 {
				t.Errorf("%s: %q is placed at %+v", d.Name, *p.Panel.Title, g)
			}
		}
		if strings.Contains(string(text), "password") || !json.Valid(text) {
			t.Errorf("%s: no JSON, or it names a password", d.Name)
		}
	}
}
