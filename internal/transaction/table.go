package transaction

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	timerJ = 32 * time.Second // 64·T1 (RFC 3261 §17.2.2)

	// MaxBytes bounds the responses that are kept for retransmissions, with
	// what identifies them. Beyond it the oldest are dropped before Timer J
	// fires: at 700 bytes each, that is some 95,000 registrations.
	MaxBytes = 64 << 20

	// indexBytes is about what the two maps take for a transaction.
	indexBytes = 100

	// generations is into how many parts Timer J is divided. A transaction
	// lives through that many turns, so for Timer J and one part more at most.
	generations = 4
)

type state uint8

const (
	unknown   state = iota // a new transaction has begun
	trying                 // it is under way
	completed              // it has been answered
	merged                 // the same request came by another way
)

// table holds transactions in generations, dropped whole, without a pointer
// for each one.
type table struct {
	seed     maphash.Seed
	maxBytes int

	mu       sync.Mutex
	underway map[string]string // request → transaction, those being answered right now
	young    *generation
	old      []*generation // the youngest first
	oldBytes int           // of all old ones
}

// generation holds the transactions of a part of Timer J.
type generation struct {
	began    time.Time
	spans    map[uint64]span   // hash of the transaction → where it lies in data
	requests map[uint64]uint64 // hash of the request → hash of its transaction
	data     []byte
}

// span says where an identity and behind it the response lie.
type span struct{ start, response, end uint32 }

func newTable(maxBytes int) *table {
	return &table{
		seed:     maphash.MakeSeed(),
		maxBytes: maxBytes,
		underway: map[string]string{},
		young:    newGeneration(time.Time{}),
	}
}

func newGeneration(began time.Time) *generation {
	return &generation{began: began, spans: map[uint64]span{}, requests: map[uint64]uint64{}}
}

// begin looks a request up and, where it is a new one, marks it as under way:
// then end has to follow. The response of a completed one is a copy.
func (t *table) begin(id identity, now time.Time) (state, []byte) {
	hash := maphash.String(t.seed, id.transaction)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn(now)
	if response := t.find(hash, id.transaction); response != nil {
		return completed, append([]byte(nil), response...)
	}
	if other, found := t.underway[id.underwayKey()]; found {
		if other == id.transaction {
			return trying, nil
		}
		return merged, nil
	}
	if id.request != "" && t.cameBefore(maphash.String(t.seed, id.request), hash) {
		return merged, nil
	}
	t.underway[id.underwayKey()] = id.transaction
	return unknown, nil
}

// end completes a transaction. Its response is stored where keep says so.
func (t *table) end(id identity, response []byte, keep bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.underway, id.underwayKey())
	if !keep {
		return
	}
	t.makeRoom(len(id.transaction)+len(response)+indexBytes, now)
	hash := maphash.String(t.seed, id.transaction)
	t.young.add(hash, id.transaction, response)
	if id.request != "" {
		t.young.requests[maphash.String(t.seed, id.request)] = hash
	}
}

// has tells whether there is a transaction, answered or under way.
func (t *table) has(id identity, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn(now)
	return t.underway[id.underwayKey()] == id.transaction ||
		t.find(maphash.String(t.seed, id.transaction), id.transaction) != nil
}

// underwayKey is what no two requests under way may share.
func (id identity) underwayKey() string {
	if id.request != "" {
		return id.request
	}
	return id.transaction
}

func (t *table) find(hash uint64, transaction string) []byte {
	if response := t.young.find(hash, transaction); response != nil {
		return response
	}
	for _, g := range t.old {
		if response := g.find(hash, transaction); response != nil {
			return response
		}
	}
	return nil
}

// cameBefore tells whether the request was answered in another transaction.
func (t *table) cameBefore(request, transaction uint64) bool {
	if other, found := t.young.requests[request]; found {
		return other != transaction
	}
	for _, g := range t.old {
		if other, found := g.requests[request]; found {
			return other != transaction
		}
	}
	return false
}

// turn begins a new generation when its time has come and drops those over
// which Timer J has fired.
func (t *table) turn(now time.Time) {
	if now.Sub(t.young.began) >= timerJ/generations {
		t.begun(now)
	}
	for len(t.old) > 0 && now.Sub(t.old[len(t.old)-1].began) >= timerJ+timerJ/generations {
		t.dropOldest()
	}
}

// makeRoom keeps within the bound: the oldest go before their time.
func (t *table) makeRoom(size int, now time.Time) {
	if t.young.bytes()+size > t.maxBytes/generations {
		t.begun(now)
	}
	for len(t.old) > 0 && t.oldBytes+t.young.bytes()+size > t.maxBytes {
		t.dropOldest()
	}
}

func (t *table) begun(now time.Time) {
	if len(t.young.data) > 0 {
		t.old = append([]*generation{t.young}, t.old...)
		t.oldBytes += t.young.bytes()
	}
	last := t.young
	t.young = newGeneration(now)
	t.young.data = make([]byte, 0, len(last.data)) // as much as before is likely
}

func (t *table) dropOldest() {
	last := len(t.old) - 1
	t.oldBytes -= t.old[last].bytes()
	t.old[last] = nil
	t.old = t.old[:last]
}

func (g *generation) bytes() int { return len(g.data) + len(g.spans)*indexBytes }

func (g *generation) add(hash uint64, transaction string, response []byte) {
	s := span{start: uint32(len(g.data))}
	g.data = append(g.data, transaction...)
	s.response = uint32(len(g.data))
	g.data = append(g.data, response...)
	s.end = uint32(len(g.data))
	g.spans[hash] = s
}

// find returns the response; the whole identity is compared, so that a hash
// that two share gives nobody another's response.
func (g *generation) find(hash uint64, transaction string) []byte {
	s, found := g.spans[hash]
	if !found || string(g.data[s.start:s.response]) != transaction {
		return nil
	}
	return g.data[s.response:s.end]
}
