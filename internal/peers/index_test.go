package peers

import "testing"

// Keys whose hashes are the same are told apart.
func TestIndexWithOneHashForAll(t *testing.T) {
	keys := []string{"a", "b", "c"}
	x := newIndex[string]()
	for place := range keys {
		x.addHashed(7, uint32(place))
	}
	for place, key := range append(keys, "d") {
		got, found := x.findHashed(7, func(place uint32) bool { return keys[place] == key })
		if found != (place < len(keys)) || found && got != uint32(place) {
			t.Errorf("%s: %d, %v", key, got, found)
		}
	}
}

func TestIndexGrows(t *testing.T) {
	const keys = 1000
	x := newIndex[int]()
	find := func(key int) (place uint32, found bool) {
		return x.find(key, func(place uint32) bool { return int(place) == key })
	}
	for key := range keys {
		if _, found := find(key); found {
			t.Fatalf("%d is found before it is added", key)
		}
		x.add(key, uint32(key))
	}
	for key := range keys {
		if place, found := find(key); !found || int(place) != key {
			t.Errorf("%d: %d, %v", key, place, found)
		}
	}
	if x.used != keys || len(x.slots) > 3*keys {
		t.Errorf("%d keys in %d slots", x.used, len(x.slots))
	}
}
