package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		name    string
		figures []float64
		want    spread
	}{
		{"none", nil, spread{}},
		{"one", []float64{7}, spread{7, 7, 7}},
		{"odd", []float64{9, 1, 2}, spread{2, 1, 9}},
		{"even", []float64{4, 1, 2, 9}, spread{3, 1, 9}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := spreadOf(test.figures); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i)
	}
	for _, test := range []struct {
		name    string
		sorted  []time.Duration
		percent int
		want    time.Duration
	}{
		{"none", nil, 99, 0},
		{"one", hundred[7:8], 50, 7},
		{"p50", hundred, 50, 50},
		{"p99", hundred, 99, 99},
		{"the most", hundred, 100, 99},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := percentile(test.sorted, test.percent); got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
		})
	}
}

// Ratios are what the file store takes for each that the memory store takes:
// half the rate is twice the time.
func TestRatiosOfStores(t *testing.T) {
	memory, file := newStoreRows("memory"), newStoreRows("file")
	memory.fresh.runs = []measurement{{perSecond: 20_000, cpu: 50 * time.Microsecond}}
	file.fresh.runs = []measurement{{perSecond: 10_000, cpu: 75 * time.Microsecond}}
	var out bytes.Buffer
	b := &benchmark{options: &options{rows: rowNew}}
	b.printStores(&out, memory, file)
	lines := strings.Split(out.String(), "\n")
	for line, want := range map[int]string{2: "1.00 | 1.00 |", 3: "2.00 | 1.50 |"} {
		if got := strings.Join(strings.Fields(lines[line]), " "); !strings.HasSuffix(got, want) {
			t.Errorf("%q, want %q at its end", got, want)
		}
	}
}

func TestOnlyWhatIsMeasuredHasARatio(t *testing.T) {
	var out bytes.Buffer
	printServers(&out, []*row{{name: "sipregd, memory", runs: []measurement{{cpu: time.Microsecond}}}})
	if got := strings.Join(strings.Fields(strings.Split(out.String(), "\n")[2]), " "); !strings.HasSuffix(got, "- | - |") {
		t.Errorf("%q, want no ratios", got)
	}
}

func TestWhatIsComparedStandsBelowTheTable(t *testing.T) {
	of := func(name string, over link, cpu time.Duration) *row {
		return &row{name: name, over: over, runs: []measurement{{cpu: cpu}}}
	}
	udp := of(memoryName, overUDP(), 20*time.Microsecond)
	for _, test := range []struct {
		name string
		rows []*row
		want string // in the text; empty: there is no such line
	}{
		{"streams", []*row{udp, of(streamsName(2), overTCP(2), 27*time.Microsecond)}, `TCP, 2 streams" takes 1.35 times`},
		{"both cores", []*row{udp, of(bothCoresName, overUDP(), 25*time.Microsecond)}, "2 * 20.0 / 25.0 = 1.60"},
		{"streams alone", []*row{of(streamsName(2), overTCP(2), 27*time.Microsecond)}, ""},
		{"both cores alone", []*row{of(bothCoresName, overUDP(), 25*time.Microsecond)}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			printServers(&out, test.rows)
			_, below, _ := strings.Cut(out.String(), explanation+"\n")
			if below != "" && test.want == "" || !strings.Contains(below, test.want) {
				t.Errorf("%q, want %q", below, test.want)
			}
		})
	}
}
