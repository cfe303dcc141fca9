package transaction

import (
	"encoding/binary"
	"time"
)

// answered holds transactions that have been answered, each as a record in one
// piece of memory that is written round and round: to drop the oldest takes no
// timer, and there is no pointer for the garbage collector to follow. The zero
// value, with maxBytes, is an empty one.
type answered struct {
	maxBytes int
	epoch    time.Time // from which time is counted, without regard to the wall clock
	places   places    // where the records of keys begin in log
	log      []byte
	used     int // bytes of log that were ever used: no more is in real memory
	first    int // where the oldest record begins
	next     int // where the next one will
	// end is where records end that go on at the front of log; 0: they do not.
	end int
	// evicted counts transactions that were dropped while they could still be
	// asked for again.
	evicted uint64
}

const (
	// recordHead is what stands before a record's transaction and response, in
	// bytes: its key, when it was added, and the lengths of both.
	recordHead = 8 + 8 + 4 + 4

	// placeBytes is about what places take for a transaction.
	placeBytes = 16

	// usualRecord is about how long a record is: how much of maxBytes is for log,
	// and how many records there may be, follows from it.
	usualRecord = 300
)

// add takes in a transaction of that key, in the place of one that was there. If
// there is no room the oldest are dropped; what is too large is left out.
func (a *answered) add(key uint64, transaction, response []byte, now time.Time) {
	if a.log == nil {
		records := a.maxBytes / (usualRecord + placeBytes)
		a.log, a.places, a.epoch = make([]byte, records*usualRecord), newPlaces(records), now
	}
	size := recordHead + len(transaction) + len(response)
	if size > len(a.log)/2 {
		return
	}
	a.expire(now)
	for a.places.count >= len(a.log)/usualRecord {
		a.evict()
	}
	at := a.makeRoom(size)
	a.place(key, uint32(at))
	record := a.log[at:]
	binary.LittleEndian.PutUint64(record, key)
	binary.LittleEndian.PutUint64(record[8:], uint64(now.Sub(a.epoch)))
	binary.LittleEndian.PutUint32(record[16:], uint32(len(transaction)))
	binary.LittleEndian.PutUint32(record[20:], uint32(len(response)))
	copy(record[recordHead:], transaction)
	copy(record[recordHead+len(transaction):], response)
	a.next = at + size
	a.used = max(a.used, a.next)
}

// makeRoom returns where a record of that size may be written: behind the last,
// or at the front if that saves memory that was not used yet.
func (a *answered) makeRoom(size int) (at int) {
	for {
		switch {
		case a.end > 0 && a.next+size <= a.first:
			return a.next
		case a.end > 0 && a.used < len(a.log):
			a.moveUp(min(max(a.used, size), len(a.log)-a.used))
			continue
		case a.end > 0: // the front has reached the oldest
		case a.next+size <= a.used:
			return a.next
		case a.first >= size:
			a.end, a.next = a.next, 0
			return 0
		case a.next+size <= len(a.log):
			return a.next
		}
		a.evict()
	}
}

// evict drops the oldest to make room. One whose place another has taken is no
// loss.
func (a *answered) evict() {
	before := a.places.count
	a.dropFirst()
	a.evicted += uint64(before - a.places.count)
}

// moveUp moves the records behind the front into memory that was not used yet.
func (a *answered) moveUp(by int) {
	copy(a.log[a.first+by:], a.log[a.first:a.end])
	a.first, a.end, a.used = a.first+by, a.end+by, max(a.used, a.end+by)
	a.places.clear()
	a.placeAll(a.first, a.end)
	a.placeAll(0, a.next)
}

// placeAll takes down where records lie, the oldest first.
func (a *answered) placeAll(from, to int) {
	for from < to {
		record := a.log[from:]
		a.place(binary.LittleEndian.Uint64(record), uint32(from))
		transaction, response := lengths(record)
		from += recordHead + transaction + response
	}
}

// expire drops those over which Timer J has fired.
func (a *answered) expire(now time.Time) {
	for !a.empty() && !a.isLive(a.first, now) {
		a.dropFirst()
	}
}

func (a *answered) empty() bool { return a.first == a.next && a.end == 0 }

func (a *answered) isLive(at int, now time.Time) bool {
	added := time.Duration(binary.LittleEndian.Uint64(a.log[at+8:]))
	return now.Sub(a.epoch)-added < timerJ
}

func (a *answered) dropFirst() {
	record := a.log[a.first:]
	key := binary.LittleEndian.Uint64(record)
	a.places.remove(key, uint32(a.first)) // which is not there where another has taken its place
	transaction, response := lengths(record)
	a.first += recordHead + transaction + response
	if a.first == a.end {
		a.first, a.end = 0, 0
	}
	if a.empty() {
		a.first, a.next = 0, 0
	}
}

// find returns the transaction of that key and its response, both valid until the
// next call of add. The whole transaction is to be compared: a key is a hash,
// and what two share must give nobody another's response.
func (a *answered) find(key uint64, now time.Time) (transaction, response []byte, found bool) {
	at, found := a.placeOf(key)
	if !found || !a.isLive(int(at), now) {
		return nil, nil, false
	}
	record := a.log[at:]
	length, responseLength := lengths(record)
	record = record[recordHead:]
	return record[:length], record[length:][:responseLength], true
}

func (a *answered) placeOf(key uint64) (at uint32, found bool) {
	return a.places.find(key, func(at uint32) bool { return binary.LittleEndian.Uint64(a.log[at:]) == key })
}

// place takes down where the record of a key begins from now on.
func (a *answered) place(key uint64, at uint32) {
	if before, found := a.placeOf(key); found {
		a.places.move(key, before, at)
	} else {
		a.places.add(key, at)
	}
}

func lengths(record []byte) (transaction, response int) {
	return int(binary.LittleEndian.Uint32(record[16:])), int(binary.LittleEndian.Uint32(record[20:]))
}

// bytes is about what is in use.
func (a *answered) bytes() int { return a.used + a.places.count*placeBytes }
