package transaction

import (
	"sync"
	"time"
)

const (
	timerJ = 32 * time.Second // 64·T1 (RFC 3261 §17.2.2)

	// MaxBytes is what the memory for transactions is bounded by where nothing
	// else is said. Beyond it the oldest are dropped before Timer J fires: at
	// some 300 bytes each, that is 220,000 registrations.
	MaxBytes = 64 << 20

	// indexBytes is about what the map takes for a transaction.
	indexBytes = 48

	// generations is into how many parts Timer J is divided. A transaction
	// lives through that many turns, so for Timer J and one part more at most.
	generations = 4

	shards = 16 // which keep processors out of each other's way
)

type state uint8

const (
	unknown   state = iota // a new transaction has begun
	trying                 // it is under way
	completed              // it has been answered
	merged                 // the same request came by another way
)

// table holds transactions.
type table struct{ shards [shards]shard }

// shard is a part of the table. It holds transactions in generations, dropped
// whole, without a pointer for each one.
type shard struct {
	maxBytes int

	mu       sync.Mutex
	underway map[uint64]uint64 // key → tag, of those being answered right now
	young    *generation
	old      []*generation // the youngest first
	oldBytes int           // of all old ones
}

// generation holds the transactions of a part of Timer J.
type generation struct {
	began time.Time
	spans map[uint64]span // key → where it lies in data
	data  []byte          // what is in it never changes
}

// span says where an identity and behind it the response lie.
type span struct{ start, response, end uint32 }

func newTable(maxBytes int) *table {
	t := &table{}
	for i := range t.shards {
		t.shards[i] = shard{maxBytes: maxBytes / shards, underway: map[uint64]uint64{}, young: newGeneration(time.Time{})}
	}
	return t
}

func newGeneration(began time.Time) *generation {
	return &generation{began: began, spans: map[uint64]span{}}
}

func (t *table) shard(id identity) *shard { return &t.shards[id.key%shards] }

func (t *table) begin(id identity, now time.Time) (state, []byte) { return t.shard(id).begin(id, now) }

func (t *table) end(id identity, response []byte, keep bool, now time.Time) {
	t.shard(id).end(id, response, keep, now)
}

func (t *table) has(id identity, now time.Time) bool { return t.shard(id).has(id, now) }

// begin looks a request up and, where it is a new one, marks it as under way:
// then end has to follow. Of a completed one it returns the response.
func (t *shard) begin(id identity, now time.Time) (state, []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn(now)
	if transaction, response, found := t.find(id.key); found {
		switch {
		case string(transaction) == string(id.text):
			return completed, response
		case id.merges:
			return merged, nil
		}
	}
	if other, found := t.underway[id.key]; found {
		if other == id.tag {
			return trying, nil
		}
		return merged, nil
	}
	t.underway[id.key] = id.tag
	return unknown, nil
}

// end completes a transaction. Its response is stored where keep says so.
func (t *shard) end(id identity, response []byte, keep bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.underway, id.key)
	if !keep {
		return
	}
	t.makeRoom(len(id.text)+len(response)+indexBytes, now)
	t.young.add(id, response)
}

// has tells whether there is a transaction, answered or under way.
func (t *shard) has(id identity, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn(now)
	if tag, found := t.underway[id.key]; found && tag == id.tag {
		return true
	}
	transaction, _, found := t.find(id.key)
	return found && string(transaction) == string(id.text)
}

// find returns the youngest transaction of that key, with its response.
func (t *shard) find(key uint64) (transaction, response []byte, found bool) {
	if transaction, response, found = t.young.find(key); found {
		return transaction, response, true
	}
	for _, g := range t.old {
		if transaction, response, found = g.find(key); found {
			return transaction, response, true
		}
	}
	return nil, nil, false
}

// turn begins a new generation when its time has come and drops those over
// which Timer J has fired.
func (t *shard) turn(now time.Time) {
	if now.Sub(t.young.began) >= timerJ/generations {
		t.begun(now)
	}
	for len(t.old) > 0 && now.Sub(t.old[len(t.old)-1].began) >= timerJ+timerJ/generations {
		t.dropOldest()
	}
}

// makeRoom keeps within the bound: the oldest go before their time.
func (t *shard) makeRoom(size int, now time.Time) {
	if t.young.bytes()+size > t.maxBytes/generations {
		t.begun(now)
	}
	for len(t.old) > 0 && t.oldBytes+t.young.bytes()+size > t.maxBytes {
		t.dropOldest()
	}
}

func (t *shard) begun(now time.Time) {
	if len(t.young.data) > 0 {
		t.old = append([]*generation{t.young}, t.old...)
		t.oldBytes += t.young.bytes()
	}
	last := t.young
	t.young = newGeneration(now)
	t.young.data = make([]byte, 0, len(last.data)) // as much as before is likely
}

func (t *shard) dropOldest() {
	last := len(t.old) - 1
	t.oldBytes -= t.old[last].bytes()
	t.old[last] = nil
	t.old = t.old[:last]
}

func (g *generation) bytes() int { return len(g.data) + len(g.spans)*indexBytes }

func (g *generation) add(id identity, response []byte) {
	s := span{start: uint32(len(g.data))}
	g.data = append(g.data, id.text...)
	s.response = uint32(len(g.data))
	g.data = append(g.data, response...)
	s.end = uint32(len(g.data))
	g.spans[id.key] = s
}

// find returns the whole identity too, to be compared: a hash that two share
// must give nobody another's response.
func (g *generation) find(key uint64) (transaction, response []byte, found bool) {
	s, found := g.spans[key]
	if !found {
		return nil, nil, false
	}
	return g.data[s.start:s.response], g.data[s.response:s.end], true
}
