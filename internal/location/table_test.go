package location

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sipregd/internal/sipuri"
)

// The table against a map, with hashes that many AORs share and lists of all
// sizes, of which some fit into no block.
func TestTableAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, model := newTable(), map[sipuri.AOR]list{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			n := rapid.IntRange(0, 12).Draw(t, "aor")
			aor := sipuri.AOR{User: fmt.Sprint("user", n), Domain: strings.Repeat("d", n)}
			size := rapid.SampledFrom([]int{0, 1, 20, 40, 500, 2000, 2040, 5000}).Draw(t, "size")
			l := list{Packed(strings.Repeat(fmt.Sprint(n%10), size)), int64(size)}
			if size == 0 {
				delete(model, aor)
			} else {
				model[aor] = l
			}
			table.set(uint64(n%5), aor, []byte(l.bindings), l.wake)
			compareTable(t, &table, model)
		}
	})
}

func compareTable(t *rapid.T, table *table, model map[sipuri.AOR]list) {
	if table.count != len(model) {
		t.Fatalf("%d lists, want %d", table.count, len(model))
	}
	seen := 0
	for aor, l := range table.all() {
		if seen++; model[aor] != l {
			t.Fatalf("%v has %v, want %v", aor, l, model[aor])
		}
	}
	if seen != len(model) {
		t.Fatalf("%d lists are yielded, want %d", seen, len(model))
	}
	for n := range 13 {
		aor := sipuri.AOR{User: fmt.Sprint("user", n), Domain: strings.Repeat("d", n)}
		if got := table.get(uint64(n%5), aor); got != model[aor] {
			t.Fatalf("%v: got %v, want %v", aor, got, model[aor])
		}
	}
}

// Blocks that are given back are handed out again: phones that come and go
// leave no memory behind.
func TestBlocksAreUsedAgain(t *testing.T) {
	table := newTable()
	for round := range 50 {
		for n := range 1000 {
			aor := sipuri.AOR{User: fmt.Sprint(n)}
			table.set(uint64(n), aor, []byte(strings.Repeat("x", 100+n%200)), 0)
		}
		for n := range 1000 {
			table.set(uint64(n), sipuri.AOR{User: fmt.Sprint(n)}, nil, 0)
		}
		if chunks := len(table.blocks.chunks); chunks > 12 {
			t.Fatalf("%d chunks after round %d", chunks, round)
		}
	}
}
