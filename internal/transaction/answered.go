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
	epoch    time.Time         // from which time is counted, without regard to the wall clock
	places   map[uint64]uint32 // key → where its record begins in log
	log      []byte
	used     int // bytes of log that were ever used: no more is in real memory
	first    int // where the oldest record begins
	next     int // where the next one will
	// end is where records end that go on at the front of log; 0: they do not.
	end int
}

const (
	// recordHead is what stands before a record's transaction and response, in
	// bytes: its key, when it was added, and the lengths of both.
	recordHead = 8 + 8 + 4 + 4

	// placeBytes is about what the map takes for a transaction.
	placeBytes = 40

	// usualRecord is about how long a record is: how much of maxBytes is for log,
	// and how many records there may be, follows from it.
	usualRecord = 300
)

// add takes in a transaction of that key, in the place of one that was there. If
// there is no room the oldest are dropped; what is too large is left out.
func (a *answered) add(key uint64, transaction, response []byte, now time.Time) {
	if a.log == nil {
		a.log = make([]byte, a.maxBytes/(usualRecord+placeBytes)*usualRecord)
		a.places, a.epoch = map[uint64]uint32{}, now
	}
	size := recordHead + len(transaction) + len(response)
	if size > len(a.log)/2 {
		return
	}
	a.expire(now)
	for len(a.places) >= len(a.log)/usualRecord {
		a.dropFirst()
	}
	at := a.makeRoom(size)
	record := a.log[at:]
	binary.LittleEndian.PutUint64(record, key)
	binary.LittleEndian.PutUint64(record[8:], uint64(now.Sub(a.epoch)))
	binary.LittleEndian.PutUint32(record[16:], uint32(len(transaction)))
	binary.LittleEndian.PutUint32(record[20:], uint32(len(response)))
	copy(record[recordHead:], transaction)
	copy(record[recordHead+len(transaction):], response)
	a.places[key] = uint32(at)
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
		a.dropFirst()
	}
}

// moveUp moves the records behind the front into memory that was not used yet.
func (a *answered) moveUp(by int) {
	copy(a.log[a.first+by:], a.log[a.first:a.end])
	a.first, a.end, a.used = a.first+by, a.end+by, max(a.used, a.end+by)
	for at := a.first; at < a.end; {
		record := a.log[at:]
		if key := binary.LittleEndian.Uint64(record); a.places[key] == uint32(at-by) {
			a.places[key] = uint32(at)
		}
		transaction, response := lengths(record)
		at += recordHead + transaction + response
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
	if a.places[key] == uint32(a.first) { // not where another has taken its place
		delete(a.places, key)
	}
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
	at, found := a.places[key]
	if !found || !a.isLive(int(at), now) {
		return nil, nil, false
	}
	record := a.log[at:]
	length, responseLength := lengths(record)
	record = record[recordHead:]
	return record[:length], record[length:][:responseLength], true
}

func lengths(record []byte) (transaction, response int) {
	return int(binary.LittleEndian.Uint32(record[16:])), int(binary.LittleEndian.Uint32(record[20:]))
}

// bytes is about what is in use.
func (a *answered) bytes() int { return a.used + len(a.places)*placeBytes }
