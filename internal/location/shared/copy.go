package shared

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// stripes keep AORs out of each other's way while one of them waits for Redis.
const stripes = 1 << 14

// seen is what this node has seen last of the AORs: their bindings, with the times of
// Redis's clock, and of what version that was. The versions are found by a hash of the
// AOR. Two AORs may share one: as no version is like any other, Redis then says that it
// is none of that AOR.
type seen struct {
	*location.Memory
	clock   *clock
	limit   int64
	seed    maphash.Seed
	count   atomic.Int64 // AORs that are kept
	wasFull atomic.Bool  // there were more once than are kept
	stripes [stripes]stripe
}

type stripe struct {
	mu       sync.Mutex         // held as long as an AOR of the stripe is changed
	versions map[uint64]version // of all AORs that are kept, zero: it is not known of what version they are
}

func newSeen(clock *clock, limit int) *seen {
	return &seen{
		Memory: location.NewMemory(clock.now()), clock: clock, limit: int64(limit), seed: maphash.MakeSeed(),
	}
}

// of returns the stripe of an AOR, and the hash of the AOR.
func (c *seen) of(aor sipuri.AOR) (*stripe, uint64) {
	hash := maphash.Comparable(c.seed, aor)
	return &c.stripes[hash%stripes], hash
}

// state is what an AOR is bound to.
type state struct {
	version  string
	bindings []location.Binding // with the times of Redis's clock, those changed last last
	fresh    bool               // it was read from Redis for this very change
}

// state returns what was seen last, and nothing where that is not of a known version.
// The stripe has to be locked.
func (c *seen) state(s *stripe, hash uint64, aor sipuri.AOR) state {
	known := s.versions[hash]
	if known == (version{}) {
		return state{}
	}
	return state{version: known.String(), bindings: c.Look(aor)}
}

// take keeps what was seen. The stripe has to be locked.
func (c *seen) take(s *stripe, hash uint64, aor sipuri.AOR, seen state) {
	v, ok := parseVersion(seen.version)
	if !ok {
		seen.bindings = nil
	}
	c.keep(s, hash, aor, v, seen.bindings)
}

// keep keeps what an AOR is bound to, as far as there is room, and of what version that is,
// zero: that is not known. The stripe has to be locked.
func (c *seen) keep(s *stripe, hash uint64, aor sipuri.AOR, v version, bindings []location.Binding) {
	_, found := s.versions[hash]
	if len(bindings) > 0 && !found && c.count.Load() >= c.limit {
		c.wasFull.Store(true)
		bindings = nil
	}
	switch {
	case len(bindings) > 0:
		if s.versions == nil {
			s.versions = map[uint64]version{}
		}
		s.versions[hash] = v
		if !found {
			c.count.Add(1)
		}
	case found:
		delete(s.versions, hash)
		c.count.Add(-1)
	}
	c.Replace(aor, bindings)
}

// forget makes it unknown of what version the bindings are. The stripe has to be locked.
func (c *seen) forget(s *stripe, hash uint64) {
	if _, found := s.versions[hash]; found {
		s.versions[hash] = version{}
	}
}

// inOrder sorts bindings as a list of location.Memory is.
func inOrder(bindings []location.Binding) {
	slices.SortFunc(bindings, func(a, b location.Binding) int {
		return cmp.Or(a.Changed.Compare(b.Changed), cmp.Compare(a.ID, b.ID))
	})
}
