package transaction

// places tells where records lie in a log by a half of their keys: slots of eight
// bytes, each looked for at and behind the one that its key names. Go's map takes
// thrice the memory, and so more of what a processor has to fetch.
type places struct {
	slots []slot // a power of two of them
	count int
}

// slot holds the upper half of a key, and what comes next to the place in the log;
// 0: it is free.
type slot struct{ half, next uint32 }

// newPlaces returns room for so many records, and half as much to keep them apart.
func newPlaces(records int) places {
	size := 1
	for size <= records+records/2 {
		size *= 2
	}
	return places{slots: make([]slot, size)}
}

func half(key uint64) uint32 { return uint32(key >> 32) }

func (p *places) wrap(i uint32) uint32 { return i & uint32(len(p.slots)-1) }

// find returns the place for which is tells that the record has the key.
func (p *places) find(key uint64, is func(at uint32) bool) (at uint32, found bool) {
	if len(p.slots) == 0 {
		return 0, false
	}
	for i := p.wrap(half(key)); p.slots[i].next != 0; i = p.wrap(i + 1) {
		if at = p.slots[i].next - 1; p.slots[i].half == half(key) && is(at) {
			return at, true
		}
	}
	return 0, false
}

// add takes in a place that is not there yet.
func (p *places) add(key uint64, at uint32) {
	i := p.wrap(half(key))
	for p.slots[i].next != 0 {
		i = p.wrap(i + 1)
	}
	p.slots[i] = slot{half(key), at + 1}
	p.count++
}

// move makes a place of a key another.
func (p *places) move(key uint64, from, to uint32) {
	if i, found := p.index(key, from); found {
		p.slots[i].next = to + 1
	}
}

func (p *places) clear() {
	clear(p.slots)
	p.count = 0
}

// remove takes a place out, if it is there. What was put further behind because of
// it moves up.
func (p *places) remove(key uint64, at uint32) {
	hole, found := p.index(key, at)
	if !found {
		return
	}
	for i := p.wrap(hole + 1); p.slots[i].next != 0; i = p.wrap(i + 1) {
		if home := p.slots[i].half; p.wrap(i-home) >= p.wrap(i-hole) {
			p.slots[hole], hole = p.slots[i], i
		}
	}
	p.slots[hole] = slot{}
	p.count--
}

func (p *places) index(key uint64, at uint32) (i uint32, found bool) {
	for i = p.wrap(half(key)); p.slots[i].next != 0; i = p.wrap(i + 1) {
		if p.slots[i].next == at+1 {
			return i, true
		}
	}
	return 0, false
}
