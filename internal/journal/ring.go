package journal

import "math"

const (
	firstRing  = 64 << 10 // bytes of a ring at first
	bytesEach  = 128      // of an event, at least: so many fit into a ring at most
	largestOne = 9*maxKept + eventHead
)

// ring holds the last events as bytes: one without pointers takes nothing of the
// garbage collector's time. The oldest make room for new ones.
type ring struct {
	limit int    // bytes that it may grow to
	data  []byte // events, each in one piece
	slots []slot // of the event at a position: slots[position % len(slots)]
	first uint64 // the position of the oldest event
	next  uint64 // the position that the next event gets
	end   int    // where the next event is written
	lost  uint64 // the sequence number of the last event that has made room

	forget func(*slot, []byte) // is given each open challenge that makes room; nil: nobody is
}

// slot is where an event stands in data, and what is looked at more often than that.
type slot struct {
	seq         uint64
	begin, size uint32
	call        call
	kind        Kind
	followed    bool // a challenge, by something else of its call
}

// newRing returns a ring of up to so many bytes, as far as a slot can tell places
// apart, and some for these.
func newRing(limit int) ring {
	r := ring{limit: min(max(limit, 2*largestOne), math.MaxUint32)}
	r.resize(min(firstRing, r.limit))
	return r
}

func (r *ring) resize(size int) {
	r.data, r.slots = make([]byte, size), make([]slot, size/bytesEach)
	r.end = 0
}

// add takes an event in.
func (r *ring) add(e *Event, c call) {
	lengths, size := lengthsOf(e)
	encode(r.room(slot{seq: e.Seq, size: uint32(size), call: c, kind: e.Kind}), e, &lengths)
}

// room makes room for an event.
func (r *ring) room(s slot) []byte {
	for !r.fits(int(s.size)) {
		if len(r.data) < r.limit {
			r.grow()
		} else {
			r.drop()
		}
	}
	return r.take(s)
}

// fits tells whether there is room for so many bytes in one piece, and goes on
// to the front where the rest behind the last event is too small.
func (r *ring) fits(size int) bool {
	if r.next == r.first {
		r.end = 0
		return true
	}
	if r.next-r.first == uint64(len(r.slots)) {
		return false
	}
	oldest := int(r.slot(r.first).begin)
	if r.end > oldest && r.end+size > len(r.data) {
		r.end = 0
	}
	if r.end <= oldest {
		return r.end+size <= oldest
	}
	return true
}

// take returns the place of the next event, which fits.
func (r *ring) take(s slot) []byte {
	s.begin = uint32(r.end)
	*r.slot(r.next) = s
	r.next++
	r.end += int(s.size)
	return r.data[s.begin:r.end]
}

// markFollowed takes down that something has followed a challenge of a call, if that
// is still there.
func (r *ring) markFollowed(position uint64, c call) (marked bool) {
	if position < r.first || position >= r.next {
		return false
	}
	s := r.slot(position)
	if s.call != c {
		return false
	}
	s.followed = true
	return true
}

// drop lets the oldest event go.
func (r *ring) drop() {
	oldest := r.slot(r.first)
	if oldest.kind == Challenged && !oldest.followed && r.forget != nil {
		r.forget(oldest, r.bytes(r.first))
	}
	r.lost = oldest.seq
	r.first++
}

// grow doubles the room.
func (r *ring) grow() {
	old := *r
	r.resize(min(2*len(r.data), r.limit))
	r.next = r.first
	for position := old.first; position < old.next; position++ {
		copy(r.take(*old.slot(position)), old.bytes(position))
	}
}

func (r *ring) slot(position uint64) *slot { return &r.slots[position%uint64(len(r.slots))] }

func (r *ring) bytes(position uint64) []byte {
	s := r.slot(position)
	return r.data[s.begin : s.begin+s.size]
}

// after returns the position of the first event with a higher sequence number,
// and how many with one may have been dropped.
func (r *ring) after(seq uint64) (position, missed uint64) {
	low, high := r.first, r.next
	for low < high {
		if middle := low + (high-low)/2; r.slot(middle).seq > seq {
			high = middle
		} else {
			low = middle + 1
		}
	}
	if r.lost > seq {
		missed = min(r.lost-seq, r.first)
	}
	return low, missed
}
