package guard

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"sync"
)

// ways is how many places a set has: the keys of a set and its lock fill one line of
// a processor's cache.
const ways = 7

// table remembers something of many keys in memory that never grows. Keys that meet in
// one set share its places. It holds no pointers, so that the garbage collector has
// nothing to do with it. It may be used by many goroutines at once.
type table[P any] struct {
	// seed and factors are what nobody outside knows, nor which keys meet.
	seed    maphash.Seed
	factors [2]uint64
	sets    []set[P]
}

type set[P any] struct {
	mu     sync.Mutex
	keys   [ways]uint64 // 0: the place is free
	places [ways]P
}

// newTable returns a table of so many sets, a power of two.
func newTable[P any](sets int) *table[P] {
	return &table[P]{seed: maphash.MakeSeed(), factors: [2]uint64{rand.Uint64(), rand.Uint64() | 1}, sets: make([]set[P], sets)}
}

// lock returns the set of a key, locked.
func (t *table[P]) lock(key uint64) *set[P] {
	s := &t.sets[key>>32&uint64(len(t.sets)-1)]
	s.mu.Lock()
	return s
}

// find returns the place of a key, or nil.
func (s *set[P]) find(key uint64) *P {
	for i := range s.keys {
		if s.keys[i] == key {
			return &s.places[i]
		}
	}
	return nil
}

// make returns an empty place for a key that has none: a free one, or else that of the
// lowest rank, if that is below the limit. It returns nil where there is none.
func (s *set[P]) make(key uint64, limit uint64, rank func(*P) uint64) *P {
	at := -1
	for i := range s.keys {
		if s.keys[i] == 0 {
			at = i
			break
		}
		if r := rank(&s.places[i]); r < limit {
			at, limit = i, r
		}
	}
	if at < 0 {
		return nil
	}
	var empty P
	s.keys[at], s.places[at] = key, empty
	return &s.places[at]
}

// forget makes the place of a key free.
func (t *table[P]) forget(key uint64) {
	s := t.lock(key)
	defer s.mu.Unlock()
	for i := range s.keys {
		if s.keys[i] == key {
			s.keys[i] = 0
		}
	}
}

// key returns the key of a source: of an IPv4 address, or of the first half of an IPv6
// address, as who has one address of a network of IPv6 has them all.
func (t *table[P]) key(address netip.Addr) uint64 {
	var source uint64
	if address.Is4() {
		text := address.As4()
		source = 0xffff<<32 | uint64(binary.BigEndian.Uint32(text[:]))
	} else {
		text := address.As16()
		source = binary.BigEndian.Uint64(text[:])
	}
	for range 2 { // a third of the time that maphash takes
		high, low := bits.Mul64(source^t.factors[0], t.factors[1])
		source = high ^ low
	}
	return source | 1
}

// keyOf returns the key of a source and an authname.
func (t *table[P]) keyOf(address netip.Addr, authname string) uint64 {
	const odd = 0x9e3779b97f4a7c15 // so that the two do not trade places
	return (t.key(address)*odd ^ maphash.String(t.seed, authname)) | 1
}

// plain returns an address as sources are compared.
func plain(address netip.Addr) netip.Addr {
	if address.Is4() {
		return address
	}
	return address.Unmap().WithZone("")
}

// networkOf returns all that counts as one source with an address.
func networkOf(address netip.Addr) netip.Prefix {
	bits := 32
	if address.Is6() {
		bits = 64
	}
	network, _ := address.Prefix(bits)
	return network
}
