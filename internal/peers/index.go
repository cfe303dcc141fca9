package peers

import "hash/maphash"

// index finds the place of a peer by a key. It holds hashes and places alone, so
// that the garbage collector has nothing to follow in it: whoever asks compares
// the key.
type index[K comparable] struct {
	seed   maphash.Seed
	places map[uint64]uint32
	others map[K]uint32 // those whose hash another key has already
}

func newIndex[K comparable](room int) index[K] {
	return index[K]{seed: maphash.MakeSeed(), places: make(map[uint64]uint32, room)}
}

// add takes in a key that is not there yet.
func (x *index[K]) add(key K, place uint32) { x.addHashed(maphash.Comparable(x.seed, key), key, place) }

func (x *index[K]) addHashed(hash uint64, key K, place uint32) {
	if _, taken := x.places[hash]; !taken {
		x.places[hash] = place
		return
	}
	if x.others == nil {
		x.others = map[K]uint32{}
	}
	x.others[key] = place
}

// find returns the place of a key. is tells whether the key of a place is that one.
func (x *index[K]) find(key K, is func(place uint32) bool) (place uint32, found bool) {
	return x.findHashed(maphash.Comparable(x.seed, key), key, is)
}

func (x *index[K]) findHashed(hash uint64, key K, is func(place uint32) bool) (place uint32, found bool) {
	if place, found = x.places[hash]; found && is(place) {
		return place, true
	}
	place, found = x.others[key]
	return place, found
}
