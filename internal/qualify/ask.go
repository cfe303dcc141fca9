package qualify

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/transaction"
)

// visit looks at an entry that has its turn, and asks its phone if it is time to. The
// turn of one that is not asked ends here: it comes again, or is forgotten where its
// binding is no more, its peer wants it to be asked no more, or it cannot be.
func (q *Qualifier) visit(e *entry, now time.Time) (asked bool) {
	b, settings := q.find(e, now)
	switch {
	case b == nil || !hasFlow(b):
		q.leave(e, now, never)
		return false
	case e.ask > q.moment(now):
		q.leave(e, now, e.ask)
		return false
	}
	request, err := q.request(b, settings)
	if err != nil {
		q.leave(e, now, never)
		return false
	}
	q.ask(e, &request)
	return true
}

// leave ends the turn of an entry that was not asked: it is asked next at that moment;
// never: it is forgotten.
func (q *Qualifier) leave(e *entry, now time.Time, next moment) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case e.again: // it was bound anew meanwhile
		q.giveBack(e, now, q.moment(now)+q.soon(lookEvery))
	case next == never:
		q.forget(e)
	default:
		q.giveBack(e, now, next)
	}
}

// find returns the binding of an entry as it is now, and its peer's settings; nil: it is
// not to be asked any more.
func (q *Qualifier) find(e *entry, now time.Time) (*location.Binding, *peers.Settings) {
	b := bindingOf(e, q.Store.Bindings(e.aor, now))
	if settings := q.settingsOf(b); settings != nil {
		return b, settings
	}
	return nil, nil
}

// bindingOf returns the binding of an entry among those of its AOR; nil: it is gone.
func bindingOf(e *entry, bindings []location.Binding) *location.Binding {
	i := slices.IndexFunc(bindings, func(b location.Binding) bool { return b.ID == e.id })
	if i < 0 {
		return nil
	}
	return &bindings[i]
}

// settingsOf returns those of the peer of a binding; nil: it is not to be asked.
func (q *Qualifier) settingsOf(b *location.Binding) *peers.Settings {
	if b == nil || !q.isHere(b) {
		return nil
	}
	peer := q.Directory().ByAuthname(b.Domain, b.Authname)
	if peer == nil || peer.QualifyEvery(b.NAT) == 0 {
		return nil
	}
	return peer.Settings
}

// isHere tells whether the flow of a phone is at this node.
func (q *Qualifier) isHere(b *location.Binding) bool { return b.Node == "" || b.Node == q.Node }

// routeTo returns the values of Path by which this node reaches a phone: without its own.
func (q *Qualifier) routeTo(b *location.Binding) string {
	if rest, own := strings.CutPrefix(b.Path, q.Outbound); own && q.Outbound != "" {
		return strings.TrimPrefix(rest, ",")
	}
	return b.Path
}

// hasFlow tells whether it is known by which flow a phone has registered.
func hasFlow(b *location.Binding) bool {
	return b.Local.IsValid() && (b.Transport == "UDP" || b.Stream != 0)
}

// request writes an OPTIONS. 128 bits of its branch are by chance, and 64 of the others:
// just who has seen it can answer it.
func (q *Qualifier) request(b *location.Binding, settings *peers.Settings) (transaction.Outgoing, error) {
	var bytes [32]byte
	q.mu.Lock()
	q.random(bytes[:])
	q.mu.Unlock()
	var digits [64]byte
	hex.Encode(digits[:], bytes[:])
	o := message.Options{
		Contact: b.Contact, Route: q.routeTo(b),
		Branch: string(digits[:32]), Tag: string(digits[32:48]), CallID: string(digits[48:]),
		Flow: message.Flow{Transport: b.Transport, Source: b.Source, Local: b.Local, Stream: b.Stream},
	}
	data, err := o.Append(nil)
	return transaction.Outgoing{
		ID: b.ID, Branch: o.Branch, Method: "OPTIONS", Flow: o.Flow, Data: data,
		Timeout: time.Duration(settings.QualifyTimeout) * time.Second,
	}, err
}

// ask sends a request. The turn of the entry ends when take is told what came of it, or
// at once where the phone's connection is gone.
func (q *Qualifier) ask(e *entry, request *transaction.Outgoing) {
	now := q.Clock() // what the step has done before took its time
	q.begin(e, &request.Flow, now)
	if q.clients.Begin(*request, now) != nil {
		q.end(e, connectionGone(), now)
	}
}

// begin takes down that a phone is asked, and by which flow.
func (q *Qualifier) begin(e *entry, flow *message.Flow, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.asked = q.moment(now)
	if !e.again { // else it is bound by another one by now
		e.flow = q.hash(flow.Source, flow.Local, flow.Stream)
	}
	q.counts.Asked++
}

// take takes in what came of a request.
func (q *Qualifier) take(outcome *transaction.Outcome, now time.Time) {
	q.mu.Lock()
	e := q.entries[outcome.ID]
	q.mu.Unlock()
	switch {
	case e == nil: // nothing was asked
	case outcome.Status > 0:
		if q.RoundTrip != nil {
			q.RoundTrip(outcome.Took)
		}
		q.end(e, answered(outcome.Took), now)
	default:
		q.end(e, unanswered(q.moment(now)-e.asked), now)
	}
}

// end ends the turn of an entry that was asked. What has changed by that is told before
// anything else can happen to its AOR.
func (q *Qualifier) end(e *entry, end *ending, now time.Time) {
	q.atOnce(e, now, func(b *location.Binding) {
		if tells := q.settle(e, b, end, now); tells {
			q.Journal.Record(eventOf(e, b, end, now))
		}
	})
}

// atOnce calls do with the binding of an entry, nil where it is gone, while nothing else
// can happen to its AOR. The store is not to take that for a change, which it may refuse.
func (q *Qualifier) atOnce(e *entry, now time.Time, do func(*location.Binding)) {
	done := false
	_ = q.Store.Update(e.aor, now, func(current []location.Binding) ([]location.Binding, error) {
		if !done {
			done = true
			do(bindingOf(e, current))
		}
		return nil, location.ErrAsItWas
	}, nil)
	if !done { // it lets nobody change anything just now
		do(bindingOf(e, q.Store.Bindings(e.aor, now)))
	}
}

// settle takes down what came of asking, and tells whether that is worth an event.
func (q *Qualifier) settle(e *entry, b *location.Binding, end *ending, now time.Time) (tells bool) {
	settings := q.settingsOf(b)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count(end)
	if settings == nil {
		q.forget(e)
		return false
	}
	every := settings.QualifyEvery(b.NAT)
	switch {
	case e.again: // it says nothing of the flow that it is bound by now
	case q.isInDoubt(e, b, end):
		e.doubt++
	default:
		tells = q.conclude(e, end)
		q.giveBack(e, now, max(e.asked+q.again(every), q.moment(now)))
		return tells
	}
	q.giveBack(e, now, q.moment(now)+q.soon(every))
	return false
}

func (q *Qualifier) count(end *ending) {
	if end.answers {
		q.counts.Answered++
	} else {
		q.counts.Unanswered++
	}
}

// maxDoubt is how many answers in a row may have been lost here: a phone that is gone is
// to be found out even where there is always some loss.
const maxDoubt = 3

// isInDoubt tells whether an answer that did not come may have been dropped here in
// overload, which spares those who register: after a power cut all phones would seem to
// be gone.
func (q *Qualifier) isInDoubt(e *entry, b *location.Binding, end *ending) bool {
	return !end.answers && b.Transport == "UDP" && q.lostAt > e.asked && e.doubt < maxDoubt
}

// conclude takes down whether a phone is there, and tells whether those who follow events
// have last heard something else of it.
func (q *Qualifier) conclude(e *entry, end *ending) (tells bool) {
	e.doubt = 0
	if end.answers {
		e.trip = end.trip
		q.setState(e, Reachable)
	} else {
		q.setState(e, Unreachable)
	}
	tells = e.told == end.answers
	e.told = !end.answers
	return tells
}
