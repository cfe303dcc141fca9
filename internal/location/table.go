package location

import (
	"encoding/binary"
	"iter"
	"strings"
	"unsafe"

	"sipregd/internal/sipuri"
)

// list is what one AOR is bound to.
type list struct {
	bindings Packed
	wake     int64 // the second at which the AOR is looked at for expiry
}

// table holds the lists of AORs. Each is known by a hash of its AOR and the AOR.
type table struct {
	index  map[uint64]ref // the block of the list with that hash
	blocks arena
	// others holds what has no block: lists that are too large for one, and
	// those whose hash another one has already.
	others map[uint64][]other
	count  int
}

type other struct {
	aor sipuri.AOR
	list
}

func (l list) clone() list { return list{Packed(strings.Clone(string(l.bindings))), l.wake} }

func newTable() table { return table{index: map[uint64]ref{}, others: map[uint64][]other{}} }

// blockHead is what stands at the beginning of a block, in bytes: the length of
// the bindings, the second of wake, and the lengths of the AOR's parts, which
// come next.
const blockHead = 4 + 8 + 2 + 2

// get returns the list of an AOR, an empty one where there is none.
func (t *table) get(hash uint64, aor sipuri.AOR) list { return t.view(hash, aor).clone() }

// view is get without a copy: what it returns is good until the AOR's list is set.
func (t *table) view(hash uint64, aor sipuri.AOR) list {
	if at, found := t.index[hash]; found {
		if block := t.blocks.block(at); isOf(block, aor) {
			return viewList(block)
		}
	}
	for _, o := range t.others[hash] {
		if o.aor == aor {
			return o.list
		}
	}
	return list{}
}

// set stores the list of an AOR. An empty one is removed.
func (t *table) set(hash uint64, aor sipuri.AOR, bindings []byte, wake int64) {
	size := blockHead + len(aor.User) + len(aor.Domain) + len(bindings)
	at, taken := t.index[hash]
	own := taken && isOf(t.blocks.block(at), aor)
	if own && unitsFor(size) == t.unitsAt(at) && len(bindings) > 0 { // as a rule
		writeList(t.blocks.block(at), aor, bindings, wake)
		return
	}
	if own {
		t.blocks.give(at, t.unitsAt(at))
		delete(t.index, hash)
		t.count--
	} else {
		t.removeOther(hash, aor)
	}
	switch {
	case len(bindings) == 0:
		return
	case taken && !own, !t.blocks.fits(size), len(aor.User) > 1<<16-1, len(aor.Domain) > 1<<16-1:
		t.others[hash] = append(t.others[hash], other{aor.Clone(), list{Packed(bindings), wake}})
	default:
		at = t.blocks.take(unitsFor(size))
		writeList(t.blocks.block(at), aor, bindings, wake)
		t.index[hash] = at
	}
	t.count++
}

func (t *table) removeOther(hash uint64, aor sipuri.AOR) {
	others := t.others[hash]
	for i := range others {
		if others[i].aor == aor {
			t.others[hash] = append(others[:i:i], others[i+1:]...)
			t.count--
			break
		}
	}
	if len(t.others[hash]) == 0 {
		delete(t.others, hash)
	}
}

// withHash yields the AORs with that hash.
func (t *table) withHash(hash uint64) iter.Seq[sipuri.AOR] {
	return func(yield func(sipuri.AOR) bool) {
		if at, found := t.index[hash]; found && !yield(readAOR(t.blocks.block(at))) {
			return
		}
		for _, o := range t.others[hash] {
			if !yield(o.aor) {
				return
			}
		}
	}
}

// all yields the lists. That which is yielded may be set.
func (t *table) all() iter.Seq2[sipuri.AOR, list] {
	return func(yield func(sipuri.AOR, list) bool) {
		for _, at := range t.index {
			if block := t.blocks.block(at); !yield(readAOR(block), viewList(block).clone()) {
				return
			}
		}
		for _, others := range t.others {
			for _, o := range others {
				if !yield(o.aor, o.list) {
					return
				}
			}
		}
	}
}

func (t *table) unitsAt(at ref) int { return unitsFor(sizeOf(t.blocks.block(at))) }

func sizeOf(block []byte) int {
	user, domain := aorLengths(block)
	return blockHead + user + domain + int(binary.LittleEndian.Uint32(block))
}

func aorLengths(block []byte) (user, domain int) {
	return int(binary.LittleEndian.Uint16(block[12:])), int(binary.LittleEndian.Uint16(block[14:]))
}

func isOf(block []byte, aor sipuri.AOR) bool {
	user, domain := aorLengths(block)
	text := block[blockHead:]
	return string(text[:user]) == aor.User && string(text[user:user+domain]) == aor.Domain
}

func readAOR(block []byte) sipuri.AOR {
	user, domain := aorLengths(block)
	text := string(block[blockHead : blockHead+user+domain])
	return sipuri.AOR{User: text[:user], Domain: text[user:]}
}

// viewList returns a list that is a part of its block.
func viewList(block []byte) list {
	user, domain := aorLengths(block)
	bindings := block[blockHead+user+domain : sizeOf(block)]
	return list{
		bindings: Packed(unsafe.String(unsafe.SliceData(bindings), len(bindings))),
		wake:     int64(binary.LittleEndian.Uint64(block[4:])),
	}
}

func writeList(block []byte, aor sipuri.AOR, bindings []byte, wake int64) {
	binary.LittleEndian.PutUint32(block, uint32(len(bindings)))
	binary.LittleEndian.PutUint64(block[4:], uint64(wake))
	binary.LittleEndian.PutUint16(block[12:], uint16(len(aor.User)))
	binary.LittleEndian.PutUint16(block[14:], uint16(len(aor.Domain)))
	rest := block[blockHead:]
	rest = rest[copy(rest, aor.User):]
	rest = rest[copy(rest, aor.Domain):]
	copy(rest, bindings)
}
