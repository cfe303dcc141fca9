package peers

import (
	"fmt"
	"reflect"
)

// Difference is what changed from one directory to the next, as labels.
type Difference struct {
	Added, Removed, Changed []string
}

// String returns the three counts, such as "3 added, 1 removed, 1 changed".
func (d Difference) String() string {
	return fmt.Sprintf("%d added, %d removed, %d changed", len(d.Added), len(d.Removed), len(d.Changed))
}

// Compare tells peers apart by their labels. Where a peer stands is no change.
func Compare(old, new *Directory) Difference {
	var difference Difference
	before := make(map[string]*Peer, old.Len())
	for p := range old.All() {
		before[p.Label] = p
	}
	for p := range new.All() {
		was, known := before[p.Label]
		switch {
		case !known:
			difference.Added = append(difference.Added, p.Label)
		case !p.same(was):
			difference.Changed = append(difference.Changed, p.Label)
		}
		delete(before, p.Label)
	}
	for p := range old.All() { // in order, which the map has not
		if _, gone := before[p.Label]; gone {
			difference.Removed = append(difference.Removed, p.Label)
		}
	}
	return difference
}

func (p *Peer) same(other *Peer) bool {
	a, b := *p, *other
	a.File, a.Line = b.File, b.Line
	return reflect.DeepEqual(a, b)
}
