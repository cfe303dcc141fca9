package peers

import "testing"

// Keys whose hashes are the same are told apart.
func TestIndexWithOneHashForAll(t *testing.T) {
	keys := []string{"a", "b", "c"}
	x := newIndex[string](0)
	for place, key := range keys {
		x.addHashed(7, key, uint32(place))
	}
	for place, key := range append(keys, "d") {
		got, found := x.findHashed(7, key, func(place uint32) bool { return keys[place] == key })
		if found != (place < len(keys)) || found && got != uint32(place) {
			t.Errorf("%s: %d, %v", key, got, found)
		}
	}
}
