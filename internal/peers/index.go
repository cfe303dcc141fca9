package peers

import "hash/maphash"

// index finds the place of a peer by a key. It holds hashes and places alone, so
// that it is small and the garbage collector has nothing to follow in it: whoever
// asks compares the key.
type index[K comparable] struct {
	seed  maphash.Seed
	slots []slot // a key stands in the first free one from where its hash belongs
	used  int
}

// slot is free where it is zero.
type slot struct {
	hash   uint32
	number uint32 // of the peer, counted from 1
}

func newIndex[K comparable]() index[K] {
	return index[K]{seed: maphash.MakeSeed(), slots: make([]slot, 1)}
}

// reserve makes room for so many more keys. A search is short as long as a
// quarter of the slots is free.
func (x *index[K]) reserve(room int) {
	if (x.used+room)*4 <= len(x.slots)*3 {
		return
	}
	old := x.slots
	x.slots = make([]slot, (x.used+max(room, x.used/2))*4/3+2)
	for _, s := range old {
		if s.number != 0 {
			x.slots[x.free(s.hash)] = s
		}
	}
}

// add takes in a key that is not there yet.
func (x *index[K]) add(key K, place uint32) { x.addHashed(x.hash(key), place) }

func (x *index[K]) addHashed(hash, place uint32) {
	x.reserve(1)
	x.slots[x.free(hash)] = slot{hash, place + 1}
	x.used++
}

// find returns the place of a key. is tells whether the key of a place is that one.
func (x *index[K]) find(key K, is func(place uint32) bool) (place uint32, found bool) {
	return x.findHashed(x.hash(key), is)
}

func (x *index[K]) findHashed(hash uint32, is func(place uint32) bool) (place uint32, found bool) {
	for at := x.home(hash); x.slots[at].number != 0; at = x.next(at) {
		if s := x.slots[at]; s.hash == hash && is(s.number-1) {
			return s.number - 1, true
		}
	}
	return 0, false
}

func (x *index[K]) free(hash uint32) int {
	at := x.home(hash)
	for x.slots[at].number != 0 {
		at = x.next(at)
	}
	return at
}

func (x *index[K]) hash(key K) uint32 { return uint32(maphash.Comparable(x.seed, key)) }

// home is where a hash belongs.
func (x *index[K]) home(hash uint32) int { return int(uint64(hash) * uint64(len(x.slots)) >> 32) }

func (x *index[K]) next(at int) int {
	if at++; at < len(x.slots) {
		return at
	}
	return 0
}
