package admin_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	rulesFile     = "../../configs/prometheus-rules.yml"
	rulesTest     = "../../testdata/prometheus/rules-test.yml"
	dashboardFile = "../../configs/grafana-dashboard.json"
)

func TestRulesPassPromtool(t *testing.T) {
	if text, err := promtool(t, "", "check", "rules", rulesFile); err != nil {
		t.Errorf("%v: %s", err, text)
	}
}

// testdata/prometheus/rules-test.yml says when each alert fires, and when not.
func TestAlerts(t *testing.T) {
	if text, err := promtool(t, "", "test", "rules", rulesTest); err != nil {
		t.Errorf("%v: %s", err, text)
	}
}

func TestEachAlertIsTestedAndSaysWhatToDo(t *testing.T) {
	rules, tests := readText(t, rulesFile), readText(t, rulesTest)
	alerts := regexp.MustCompile(`(?s)- alert: (\w+)(.*?)(\n\n|$)`).FindAllStringSubmatch(rules, -1)
	if len(alerts) != strings.Count(rules, "- alert:") || len(alerts) < 10 {
		t.Fatalf("%d alerts are read", len(alerts))
	}
	for _, alert := range alerts {
		if !strings.Contains(tests, `alertname="`+alert[1]+`"`) {
			t.Errorf("%s has no test", alert[1])
		}
		for _, part := range []string{"severity: ", "summary: ", "description: ", "$labels.instance"} {
			if !strings.Contains(alert[2], part) {
				t.Errorf("%s has no %s", alert[1], part)
			}
		}
		summary := regexp.MustCompile(`summary: (.*)`).FindStringSubmatch(alert[2])
		if _, todo, found := strings.Cut(summary[1], ": "); !found || todo == "" {
			t.Errorf("%s does not say what to do: %s", alert[1], summary[1])
		}
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// dashboard is what of a Grafana dashboard is looked at.
type dashboard struct {
	Templating struct {
		List []struct {
			Name, Type string
			Datasource struct{ UID string }
		}
	}
	Panels []struct {
		ID         int
		Type       string
		Title      string
		GridPos    struct{ X, Y, W, H int }
		Datasource struct{ UID string }
		Targets    []struct {
			Expr       string
			Datasource struct{ UID string }
		}
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(readText(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// expressions returns those of the rules and of the dashboard, with its variables
// filled in.
func expressions(t *testing.T) (all []string) {
	t.Helper()
	for _, line := range regexp.MustCompile(`(?m)^\s+expr: (.*)$`).FindAllStringSubmatch(readText(t, rulesFile), -1) {
		all = append(all, line[1])
	}
	fill := strings.NewReplacer("$__rate_interval", "5m", "$job", "sipregd", "$instance", ".+")
	for _, panel := range readDashboard(t).Panels {
		for _, target := range panel.Targets {
			all = append(all, fill.Replace(target.Expr))
		}
	}
	return all
}

func TestTheDashboardIsWhole(t *testing.T) {
	const own = "${datasource}"
	d := readDashboard(t)
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, panel := range d.Panels {
		if ids[panel.ID] {
			t.Errorf("%s: the id %d is another's", panel.Title, panel.ID)
		}
		ids[panel.ID] = true
		for x := range panel.GridPos.W {
			for y := range panel.GridPos.H {
				at := [2]int{panel.GridPos.X + x, panel.GridPos.Y + y}
				if other := taken[at]; other != "" || at[0] >= 24 {
					t.Fatalf("%s lies over %q or outside", panel.Title, other)
				}
				taken[at] = panel.Title
			}
		}
		if panel.Type == "row" {
			continue
		}
		if len(panel.Targets) == 0 || panel.Datasource.UID != own {
			t.Errorf("%s shows nothing, or of one datasource only", panel.Title)
		}
		for _, target := range panel.Targets {
			if target.Datasource.UID != own {
				t.Errorf("%s: %s goes to one datasource only", panel.Title, target.Expr)
			}
		}
	}
	if first := d.Templating.List[0]; first.Name != "datasource" || first.Type != "datasource" || len(d.Panels) < 20 {
		t.Errorf("no variable for the datasource, or %d panels only", len(d.Panels))
	}
	for _, variable := range d.Templating.List[1:] {
		if variable.Datasource.UID != own {
			t.Errorf("$%s is of one datasource only", variable.Name)
		}
	}
}

// Grafana sends expressions to Prometheus as they are.
func TestTheDashboardsExpressionsAreSound(t *testing.T) {
	var rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	for i, expression := range expressions(t) {
		quoted, _ := json.Marshal(expression) // which is YAML
		fmt.Fprintf(&rules, "      - alert: number_%d\n        expr: %s\n", i, quoted)
	}
	path := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(path, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := promtool(t, "", "check", "rules", path); err != nil {
		t.Errorf("%v: %s", err, text)
	}
}

var (
	selector = regexp.MustCompile(`\b((?:sipregd|process|go)_\w+|up)\b(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)=(~?)"([^"]*)"`)
)

// addedByPrometheus are no labels of a scrape.
var addedByPrometheus = map[string]bool{"job": true, "instance": true}

// A name that is mistyped makes an alert that never fires and a panel that is empty:
// each is one of a real scrape, with labels that it has.
func TestExpressionsNameWhatAScrapeHas(t *testing.T) {
	all := readSeries(t, startMonitored(t).scrape())
	for _, expression := range expressions(t) {
		selectors := selector.FindAllStringSubmatch(expression, -1)
		if len(selectors) == 0 {
			t.Errorf("%s names no metric that is known", expression)
		}
		for _, s := range selectors {
			if s[1] != "up" && !all.has(s[1], matcher.FindAllStringSubmatch(s[2], -1)) {
				t.Errorf("%s: no scrape has %s", expression, s[0])
			}
		}
	}
}

// has tells whether there is a series of a name whose labels match.
func (all series) has(wanted string, matchers [][]string) bool {
	for each := range all {
		if name.FindString(each) == wanted && matches(each, matchers) {
			return true
		}
	}
	return false
}

func matches(series string, matchers [][]string) bool {
	labels := map[string]string{}
	for _, pair := range label.FindAllStringSubmatch(series, -1) {
		labels[pair[1]] = pair[2]
	}
	for _, m := range matchers {
		switch pattern := m[3]; {
		case addedByPrometheus[m[1]]:
		case m[2] == "" && labels[m[1]] != pattern:
			return false
		case m[2] == "~" && !regexp.MustCompile("^(?:"+pattern+")$").MatchString(labels[m[1]]):
			return false
		}
	}
	return true
}
