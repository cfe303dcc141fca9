package transaction

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// Against a map, in a table that is as full as it gets, with keys that crowd at its
// end and share their halves.
func TestPlacesAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const records = 9 // 16 slots
		p, all, keys := newPlaces(records), map[uint64]uint32{}, map[uint32]uint64{}
		for at := range uint32(rapid.IntRange(1, 100).Draw(t, "steps")) {
			key := rapid.Uint64Range(12, 17).Draw(t, "half")<<32 | rapid.Uint64Range(0, 3).Draw(t, "rest")
			before, there := all[key]
			switch {
			case !there && len(all) < records:
				p.add(key, at)
				all[key], keys[at] = at, key
			case there && rapid.Bool().Draw(t, "moves"):
				p.move(key, before, at)
				all[key], keys[at] = at, key
			case there:
				p.remove(key, before)
				delete(all, key)
			}
			found := map[uint64]uint32{}
			for key := range all {
				if at, ok := p.find(key, func(at uint32) bool { return keys[at] == key }); ok {
					found[key] = at
				}
			}
			if !maps.Equal(all, found) || p.count != len(all) {
				t.Fatalf("there are %v, found %v, counted %d", all, found, p.count)
			}
		}
	})
}

// A search ends at a free slot: there has to be one, however small the table.
func TestPlacesAreNeverFull(t *testing.T) {
	for records := range 20 {
		p := newPlaces(records)
		for at := range uint32(records) {
			p.add(uint64(at)<<32, at)
		}
		if _, found := p.find(1<<63, func(uint32) bool { return true }); found {
			t.Errorf("%d records: a key is there that was not added", records)
		}
	}
}
