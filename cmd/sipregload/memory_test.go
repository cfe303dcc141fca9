package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// lineOf returns the cells of a table's line that begins with a name.
func lineOf(t *testing.T, table, name string) string {
	t.Helper()
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "| "+name+" ") {
			return strings.Join(strings.Fields(line), " ")
		}
	}
	t.Fatalf("no line %q in\n%s", name, table)
	return ""
}

func TestBytesAreThoseOfOne(t *testing.T) {
	b := &benchmark{options: &options{rounds: 1, bindings: 1_000_000, sharing: 20, sections: 100}}
	few, many := newFlatRow(1000), newFlatRow(1_000_000)
	few.runs = []measurement{{cpu: 20 * time.Microsecond}}
	many.runs = []measurement{{cpu: 22 * time.Microsecond}}
	few.memory.resident, many.memory.resident = 101e6, 600e6
	text := stringsOf(scattered(b.sections))
	for _, test := range []struct {
		name  string
		print func(out *bytes.Buffer)
		line  string
		want  string // at its end
	}{
		{"bindings", func(out *bytes.Buffer) { b.printFlat(out, few, many) }, "1000000 bindings", "| 600 | 600 | 499 |"},
		{"bindings, CPU", func(out *bytes.Buffer) { b.printFlat(out, few, many) }, "1000000 bindings",
			"| 22.0 (22.0-22.0) | 1.10 | 0 | 0 | 600 | 600 | 499 |"},
		{"streams", func(out *bytes.Buffer) {
			printIdle(out, []idleRun{{without: memory{resident: 20e6}, with: memory{resident: 220e6}}}, 20_000, time.Second)
		}, "sipregd, memory, 20000", "| 20 (20-20) | 220 (220-220) | 10000 (10000-10000) |"},
		{"peers", func(out *bytes.Buffer) {
			b.printPeers(out, []peersRun{{one: memory{resident: 1000}, many: memory{resident: 1000 + text + 25_000}}})
		}, "bytes per peer beside its strings", "| 250 (250-250) |"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			test.print(&out)
			if got := lineOf(t, out.String(), test.line); !strings.HasSuffix(got, test.want) {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestStringsOfPeers(t *testing.T) {
	if got := stringsOf([]names{{label: "ab", authname: "c", secret: "not counted", aor: "def"}}); got != 6 {
		t.Errorf("%d, want 6", got)
	}
}

func TestStreamsAreAllowedAsFarAsFilesAre(t *testing.T) {
	if got, err := allowStreams(10); got != 10 || err != nil {
		t.Errorf("%d, %v, want all 10", got, err)
	}
}

func TestSilentStreamsHaveToStayOpen(t *testing.T) {
	s := streamsOfTest(t, 1<<16, func(string, []byte) {})
	f, err := newFleet(s, s.peers[:3], newHost(), link{transport: "TCP", wires: 3, lanes: 1, sources: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if err := f.run(t.Context(), phase{inFlight: 3, once: true}).failure(); err != nil {
		t.Fatal(err)
	}
	if err := f.silent(); err != nil {
		t.Error(err)
	}
}
