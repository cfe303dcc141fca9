package peers

import (
	"fmt"
	"runtime"
	"slices"
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
	before, left := newIndex[string](), make([]bool, old.Len())
	before.reserve(old.Len())
	for i := range old.peers {
		before.add(old.peers[i].Label, uint32(i))
		left[i] = true
		makeWay(i)
	}
	for n := range new.peers {
		makeWay(n)
		p := &new.peers[n]
		i, known := before.find(p.Label, func(i uint32) bool { return old.peers[i].Label == p.Label })
		switch {
		case !known:
			difference.Added = append(difference.Added, p.Label)
			continue
		case !p.same(&old.peers[i]):
			difference.Changed = append(difference.Changed, p.Label)
		}
		left[i] = false
	}
	for i, is := range left {
		if is {
			difference.Removed = append(difference.Removed, old.peers[i].Label)
		}
	}
	return difference
}

// makeWay lets phones go first, once in so many peers.
func makeWay(peer int) {
	if peer%1024 == 0 {
		runtime.Gosched()
	}
}

func (p *Peer) same(other *Peer) bool {
	return p.Authname == other.Authname && slices.Equal(p.AORs, other.AORs) &&
		slices.Equal(p.proofs, other.proofs) && p.Settings.same(other.Settings)
}

func (s *Settings) same(other *Settings) bool {
	return s.plainSettings == other.plainSettings && slices.Equal(s.Permit, other.Permit) && slices.Equal(s.realms, other.realms) &&
		slices.Equal(s.longer, other.longer) && slices.Equal(s.CertificateNames, other.CertificateNames)
}
