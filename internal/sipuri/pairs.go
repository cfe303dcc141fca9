package sipuri

import "strings"

// pair is a parameter or a header of a URI. Without "=" its value is empty.
type pair struct {
	name, value string
	hash        uint32 // of the name: names that are equal have the same
}

// usualPairs is how many parameters of a URI take no memory of their own to read.
// More would make the stack of each stream's goroutine larger.
const usualPairs = 8

// params appends the parameters to room.
func (u *URI) params(room []pair) []pair {
	if u.Params == "" {
		return room
	}
	return appendPairs(room, u.Params[1:], ";")
}

// Param returns the value of a parameter, as it was written, and whether it is there.
func (u *URI) Param(name string) (value string, found bool) {
	var room [usualPairs]pair
	p := find(u.params(room[:0]), &pair{name: name, hash: foldedHash(name)})
	if p == nil {
		return "", false
	}
	return p.value, true
}

func appendPairs(room []pair, text, separator string) []pair {
	for part := range strings.SplitSeq(text, separator) {
		name, value, _ := strings.Cut(part, "=")
		room = append(room, pair{name, value, foldedHash(name)})
	}
	return room
}

// find returns the pair of the list that has the same name, or nil.
func find(list []pair, wanted *pair) *pair {
	for i := range list {
		if list[i].named(wanted) {
			return &list[i]
		}
	}
	return nil
}

// named compares names without regard to case and escapes.
func (p *pair) named(other *pair) bool {
	return p.hash == other.hash && escapedEqualFold(p.name, other.name)
}

// foldedHash is the same for names that escapedEqualFold finds equal (FNV-1a).
func foldedHash(text string) uint32 {
	hash := uint32(2166136261)
	for text != "" {
		var c byte
		c, _, text = nextCharacter(text)
		hash = (hash ^ uint32(lower(c))) * 16777619
	}
	return hash
}
