package transaction

import (
	"sync/atomic"
	"time"
)

// method is one of a closed list: what the network calls a method would be
// without end.
type method uint8

const (
	methodRegister method = iota
	methodOptions
	methodInvite
	methodACK
	methodCancel
	methodOther
	methods
)

// methodNames are as they stand in a request, but for the last.
var methodNames = [methods]string{
	methodRegister: "REGISTER", methodOptions: "OPTIONS", methodInvite: "INVITE", methodACK: "ACK", methodCancel: "CANCEL", methodOther: "other",
}

func methodOf(name string) method {
	switch name {
	case "REGISTER":
		return methodRegister
	case "OPTIONS":
		return methodOptions
	case "INVITE":
		return methodInvite
	case "ACK":
		return methodACK
	case "CANCEL":
		return methodCancel
	}
	return methodOther
}

// Methods returns the names of methods as Answered has them.
func Methods() []string { return methodNames[:] }

const (
	noAnswer = 0   // the status of what is never answered
	statuses = 700 // are below that (RFC 3261 §7.2)
)

// counters count what the layer does. There is one for each method and status, so
// that to count takes no time to speak of.
type counters struct {
	answered        [methods][statuses]atomic.Uint64
	retransmissions atomic.Uint64
	ignored         atomic.Uint64
	tooLong         atomic.Uint64 // answers that would have been
	tooMany         atomic.Uint64
}

func (c *counters) countAnswer(method string, status int) {
	if uint(status) < statuses {
		c.answered[methodOf(method)][status].Add(1)
	}
}

// Counts is what a layer has done so far, and what it keeps.
type Counts struct {
	Answered        []Answered // without retransmissions; in the order of Methods, and of status
	Retransmissions uint64     // that were found to be such; most got an answer again
	Ignored         uint64     // messages that are no SIP request, and no answer to one of ours
	TooLong         uint64     // answers to who had proved nothing, withheld since they had too many bytes for what he sent
	TooMany         uint64     // and since too many were given
	Evicted         uint64     // transactions that made room before Timer J fired
	Transactions    int        // in memory
	Bytes           int        // that they take, or once took
	Unacknowledged  int        // responses to INVITEs that are sent again until an ACK comes
	NoACK           uint64     // that were given up, since none came (Timer H)
	NoRoom          uint64     // that are not sent again by themselves, as there was no room
}

// Answered is how many requests got a status.
type Answered struct {
	Method string // one of Methods
	Status int    // 0: none, as it is for ACK and where answers are withheld
	Count  uint64 // never 0
}

// Counts returns what the layer has done until now. A request that was granted
// and then not stored counts as both.
func (l *Layer) Counts(now time.Time) Counts {
	counts := Counts{Retransmissions: l.counters.retransmissions.Load(), Ignored: l.counters.ignored.Load(),
		TooLong: l.counters.tooLong.Load(), TooMany: l.counters.tooMany.Load()}
	for m := range l.counters.answered {
		for status := range l.counters.answered[m] {
			if n := l.counters.answered[m][status].Load(); n > 0 {
				counts.Answered = append(counts.Answered, Answered{methodNames[m], status, n})
			}
		}
	}
	l.table.addTo(&counts, now)
	l.finals.addTo(&counts)
	return counts
}

func (t *table) addTo(counts *Counts, now time.Time) {
	for i := range t.shards {
		t.shards[i].addTo(counts, now)
	}
}

func (s *shard) addTo(counts *Counts, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answered.expire(now)
	counts.Evicted += s.answered.evicted
	counts.Transactions += len(s.underway) + s.answered.places.count
	counts.Bytes += s.answered.bytes()
}
