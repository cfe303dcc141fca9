package qualify

import (
	"encoding/hex"
	"fmt"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/transaction"
)

// visit looks at an entry that has its turn. It is forgotten where its binding is no
// more, or its peer wants it to be asked no more; else it is asked if it is time to.
func (q *Qualifier) visit(e *entry, now time.Time) {
	b, settings := q.find(e, now)
	isTime := e.ask <= now.Sub(q.begun)
	if b != nil && isTime && q.ask(e, b, settings) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case e.again: // it was bound anew meanwhile
		q.giveBack(e, now, now.Sub(q.begun)+q.soon(lookEvery))
	case b == nil || isTime: // or it cannot be asked
		q.forget(e)
	default:
		q.giveBack(e, now, e.ask)
	}
}

// find returns the binding of an entry as it is now, and its peer's settings; nil: it is
// not to be asked any more.
func (q *Qualifier) find(e *entry, now time.Time) (*location.Binding, *peers.Settings) {
	for _, b := range q.Store.Bindings(e.aor, now) {
		if b.ID != e.id {
			continue
		}
		peer := q.Directory().ByAuthname(b.Domain, b.Authname)
		if peer == nil || peer.QualifyEvery(b.NAT) == 0 {
			return nil, nil
		}
		return &b, peer.Settings
	}
	return nil, nil
}

// ask asks the phone of a binding, and tells whether that can be done: its flow has to
// be known. When take is called for it, the turn of the entry ends.
func (q *Qualifier) ask(e *entry, b *location.Binding, settings *peers.Settings) bool {
	if !b.Local.IsValid() || b.Transport != "UDP" && b.Stream == 0 {
		return false
	}
	o, err := q.request(b)
	if err != nil {
		return false
	}
	o.Timeout = time.Duration(settings.QualifyTimeout) * time.Second
	now := q.Clock()
	q.begin(e, b, now)
	if err := q.clients.Begin(o, now); err != nil {
		q.end(e, &ending{reason: journal.StreamGone, detail: "its connection is gone"}, now)
	}
	return true
}

// begin takes down that a phone is asked.
func (q *Qualifier) begin(e *entry, b *location.Binding, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.asked = now.Sub(q.begun); !e.again {
		e.flow = q.flowOf(b)
	}
	q.counts.Asked++
}

// request writes an OPTIONS. 128 bits of its branch are by chance, and 64 of the others:
// just who has seen it can answer it.
func (q *Qualifier) request(b *location.Binding) (transaction.Outgoing, error) {
	var bytes [32]byte
	q.mu.Lock()
	q.random(bytes[:])
	q.mu.Unlock()
	var digits [64]byte
	hex.Encode(digits[:], bytes[:])
	o := message.Options{
		Contact: b.Contact, Route: b.Path, Branch: string(digits[:32]), Tag: string(digits[32:48]), CallID: string(digits[48:]),
		Flow: message.Flow{Transport: b.Transport, Source: b.Source, Local: b.Local, Stream: b.Stream},
	}
	data, err := o.Append(nil)
	return transaction.Outgoing{ID: b.ID, Branch: o.Branch, Method: "OPTIONS", Flow: o.Flow, Data: data}, err
}

// ending is what came of asking: an answer, or why there was none.
type ending struct {
	status int // of the answer; 0: there was none
	trip   time.Duration
	reason journal.Reason
	detail string
}

// take takes in what came of a request.
func (q *Qualifier) take(outcome *transaction.Outcome, now time.Time) {
	q.mu.Lock()
	e := q.entries[outcome.ID]
	q.mu.Unlock()
	if outcome.Status > 0 {
		if q.RoundTrip != nil {
			q.RoundTrip(outcome.Took)
		}
		q.end(e, &ending{status: outcome.Status, trip: outcome.Took, detail: fmt.Sprintf("it answers, after %s", milliseconds(outcome.Took))}, now)
		return
	}
	q.end(e, &ending{reason: journal.NoAnswer, detail: fmt.Sprintf("no answer to OPTIONS for %.0f s", now.Sub(q.begun.Add(e.asked)).Seconds())}, now)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// end ends the turn of an entry that was asked, and takes down what has changed by that.
func (q *Qualifier) end(e *entry, end *ending, now time.Time) {
	b, settings := q.find(e, now)
	if event, changed := q.settle(e, b, settings, end, now); changed {
		q.Journal.Record(event)
	}
}

// settle does what end does under the lock.
func (q *Qualifier) settle(e *entry, b *location.Binding, settings *peers.Settings, end *ending, now time.Time) (event journal.Event, changed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	next := Reachable
	if end.status > 0 {
		q.counts.Answered++
	} else {
		q.counts.Unanswered++
		next = Unreachable
	}
	if b == nil {
		q.forget(e)
		return event, false
	}
	every := settings.QualifyEvery(b.NAT)
	if e.again && next == Unreachable { // it was asked by a flow that it has left meanwhile
		q.giveBack(e, now, now.Sub(q.begun)+q.soon(every))
		return event, false
	}
	if next == Unreachable && q.isInDoubt(e, b) {
		e.doubt++
		q.giveBack(e, now, now.Sub(q.begun)+q.soon(every))
		return event, false
	}
	e.doubt = 0
	last := e.state
	q.counts.States[last]--
	q.counts.States[next]++
	if e.state = next; next == Reachable {
		e.trip = end.trip
	}
	ask := max(e.asked+q.again(every), now.Sub(q.begun))
	if e.again {
		ask = now.Sub(q.begun) + q.soon(every)
	}
	q.giveBack(e, now, ask)
	return eventOf(e, b, end, now), last != next && (last == Unreachable || next == Unreachable)
}

// maxDoubt is how many answers in a row may have been lost here: a phone that is gone is
// to be found out even where there is always some loss.
const maxDoubt = 3

// isInDoubt tells whether an answer that did not come may have been dropped here in
// overload, which spares those who register: after a power cut all phones would seem to
// be gone.
func (q *Qualifier) isInDoubt(e *entry, b *location.Binding) bool {
	return b.Transport == "UDP" && q.lostAt > e.asked && e.doubt < maxDoubt
}

// eventOf says that a phone has become reachable or unreachable. It has no Call-ID: it is
// not what came of a request of the phone's.
func eventOf(e *entry, b *location.Binding, end *ending, now time.Time) journal.Event {
	kind := journal.Reachable
	if e.state == Unreachable {
		kind = journal.Unreachable
	}
	return journal.Event{
		Time: now, Kind: kind, Reason: end.reason, Detail: end.detail, Source: b.Source, Transport: b.Transport,
		Authname: b.Authname, Label: b.Label, AOR: e.aor, Binding: b.ID, Contact: b.Contact, UserAgent: b.UserAgent,
	}
}
