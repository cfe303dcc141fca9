package main

import (
	"bytes"
	"context"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"
)

const (
	burst = batch * ports          // registrations begun between two looks at what has come
	look  = 100 * time.Microsecond // the shortest wait
	nap   = 20 * time.Millisecond  // the longest wait
)

// fleet is phones with one binding each, which they keep from phase to phase.
// One goroutine sends for them all and receives, since it has one core.
type fleet struct {
	host   string
	poll   *poller
	wires  []*wire
	unsent []*wire // that have something to flush
	phones []phone
	lanes  lanes
	done   []*phone // that have had their one turn
	timers timers
	deed   deed // of its phones

	phase
	interval time.Duration // in an open loop, between two that are due
	due      time.Time     // in an open loop, the next one
	now      time.Time     // when what is handled has come
	result   result
}

func overUDP() link { return link{transport: "UDP", wires: ports, lanes: ports} }

func overTCP(streams int) link { return link{transport: "TCP", wires: streams, lanes: 1} }

// newFleet opens the wires for the phones of peers, who take them in turns. The
// host is that of their Call-IDs.
func newFleet(s *server, peers []names, host string, over link) (*fleet, error) {
	poll, err := newPoller()
	if err != nil {
		return nil, err
	}
	f := &fleet{host: host, poll: poll, lanes: newLanes(over.lanes), timers: newTimers(schedule(over.transport))}
	nodes := s.addresses()
	for number := range over.wires {
		w, err := over.dial(nodes[number%len(nodes)], number, host, poll)
		if err != nil {
			f.close()
			return nil, err
		}
		w.lane = f.lanes.all[number%over.lanes]
		f.wires = append(f.wires, w)
	}
	if over.moves {
		for number, w := range f.wires {
			w.next = f.wires[(number+1)%len(f.wires)]
		}
	}
	f.phones = make([]phone, len(peers))
	for n := range f.phones {
		f.phones[n] = phone{names: peers[n], number: int32(n), wire: f.wires[n%len(f.wires)]}
		f.lanes.rest(&f.phones[n])
	}
	return f, nil
}

// imported says that the phones' bindings are there, made with CSeq 1.
func (f *fleet) imported() {
	for i := range f.phones {
		f.phones[i].bound, f.phones[i].cseq = true, 1
	}
}

func (f *fleet) close() {
	for _, w := range f.wires {
		w.close()
	}
	f.poll.close()
}

// again gives so many of those another turn that have had one.
func (f *fleet) again(count int) {
	f.lanes.clear()
	for _, p := range f.done[:min(count, len(f.done))] {
		f.lanes.rest(p)
	}
	f.done = nil
}

// run ends with the phase and the last answer. A phone that failed has had its
// turn, and Timer F bounds every wait.
func (f *fleet) run(ctx context.Context, p phase) result {
	// A collection would take the core amid the load. Next to nothing gathers.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	f.prepare(p)
	for {
		f.now = time.Now()
		f.meter.look(f.now)
		more := ctx.Err() == nil && f.begin()
		f.resend()
		if f.lanes.busy == 0 && !more {
			break
		}
		left, err := f.flush()
		if err == nil {
			err = f.receive(f.patience(more, left))
		}
		if err != nil {
			f.result.fail(err)
			break
		}
	}
	return f.result.inOrder()
}

func (f *fleet) prepare(p phase) {
	f.phase, f.result = p, result{deed: f.deed}
	f.lanes.limit(p.inFlight)
	f.timers.clear()
	if p.rate > 0 {
		f.interval = time.Duration(float64(time.Second) / p.rate)
		f.due = time.Now()
	}
}

// begin starts what is to be started now, and tells whether there is more to
// come even if no answer does.
func (f *fleet) begin() (more bool) {
	if f.rate > 0 {
		return f.arrive()
	}
	if !f.measured.over(f.now) {
		f.fill()
	}
	return false
}

// fill starts registrations up to what may be in flight.
func (f *fleet) fill() {
	for f.lanes.busy < f.inFlight && f.hasNext() {
		f.start(f.now)
	}
}

// arrive starts the registrations that are due by now. Their time counts from
// when they were due, so that a server that holds the generator up is not
// forgiven.
func (f *fleet) arrive() (more bool) {
	for range burst {
		if f.measured.over(f.due) || f.crowded && f.measured.over(f.now) || !f.hasNext() {
			return false
		}
		if f.due.After(f.now) {
			return true
		}
		if f.measured.holds(f.due) {
			f.result.late = append(f.result.late, f.now.Sub(f.due))
		}
		if f.measured.holds(f.now) {
			f.result.begun++
		}
		f.start(f.due)
		f.due = f.due.Add(f.interval)
	}
	return true
}

// hasNext tells whether a phone is to have its turn. It takes down where one
// should be and is not.
func (f *fleet) hasNext() bool {
	if f.turns > 0 && len(f.done)+f.lanes.busy >= f.turns {
		return false
	}
	if f.lanes.idle == 0 && (f.rate > 0 || f.once && !f.measured.until.IsZero()) {
		f.result.dry = true
	}
	return f.lanes.idle > 0
}

func (f *fleet) start(due time.Time) {
	p := f.lanes.next()
	p.query = f.query
	p.begin(due, f.now)
	f.send(p, 0)
}

// send sends a phone's request, and has it wait for a stage.
func (f *fleet) send(p *phone, stage int) {
	f.put(p)
	f.timers.start(p, stage, f.now)
}

// put puts a phone's request on its wire.
func (f *fleet) put(p *phone) {
	p.wire.put(p)
	if !p.wire.unsent {
		p.wire.unsent = true
		f.unsent = append(f.unsent, p.wire)
	}
}

// resend sends again what was lost (Timer E), or gives it up (Timer F).
func (f *fleet) resend() {
	for stage := range f.timers.stages {
		for p := f.timers.next(stage, f.now); p != nil; p = f.timers.next(stage, f.now) {
			if f.timers.givesUp(stage) {
				f.abandon(p)
				continue
			}
			f.result.resent++
			f.send(p, stage+1)
		}
	}
}

// abandon ends the turn of a phone that got no answer. In a crowd it may have
// another one.
func (f *fleet) abandon(p *phone) {
	p.waiting = false
	f.lanes.end(p)
	if f.crowded {
		f.result.abandoned++
		f.lanes.rest(p)
		return
	}
	f.result.fail(fmt.Errorf("%w to\n%s", errNoAnswer, p.request()))
}

func (f *fleet) flush() (left bool, err error) {
	rest := f.unsent[:0]
	for _, w := range f.unsent {
		if w.unsent, err = w.flush(); err != nil {
			return false, err
		}
		if w.unsent {
			rest = append(rest, w)
		}
	}
	f.unsent = rest
	return len(rest) > 0, nil
}

// patience is how long to wait for an answer: no longer than to what is due.
func (f *fleet) patience(more, left bool) time.Duration {
	wait := nap
	if more {
		wait = time.Until(f.due)
	}
	if left {
		wait = look
	}
	if more && wait <= 0 {
		return 0
	}
	return min(max(wait, look), nap)
}

// receive takes what has come. Nothing in time is no error.
func (f *fleet) receive(atMost time.Duration) error {
	events, err := f.poll.wait(atMost)
	if err != nil {
		return err
	}
	f.now = time.Now()
	for _, event := range events {
		if err := f.wires[event.Fd].receive(f.take); err != nil {
			return err
		}
	}
	return nil
}

func (f *fleet) take(response []byte) {
	p := f.addressee(response)
	if p == nil {
		f.result.fail(fmt.Errorf("%w: the Call-ID is of no phone:\n%s", errUnexpected, response))
		return
	}
	sent := p.sent
	step, err := p.receive(response, f.now)
	switch {
	case err != nil:
		f.lanes.end(p)
		f.result.fail(err)
	case step == toProve:
		f.recordChallenge(p, sent)
		f.send(p, 0)
	case step == registered:
		f.complete(p)
		f.record(p)
	case step == redirected:
		f.acknowledge(p)
		f.complete(p)
		f.record(p)
	case step == putOff:
		f.putOff(p, response)
	}
}

// putOff ends the turn of a phone that the server refuses since it has too much
// to do. Only a crowd may be refused.
func (f *fleet) putOff(p *phone, response []byte) {
	f.lanes.end(p)
	if !f.crowded {
		f.result.fail(fmt.Errorf("%w to\n%s\n%s", errUnexpected, p.request(), response))
		return
	}
	f.result.putOff++
	f.lanes.rest(p)
}

// complete gives a phone that has registered its next turn, if it has one.
func (f *fleet) complete(p *phone) {
	f.lanes.end(p)
	if p.wire.next != nil {
		p.wire = p.wire.next
	}
	if f.once {
		f.done = append(f.done, p)
	} else {
		f.lanes.rest(p)
	}
}

// counts tells whether a registration belongs to the span: in an open loop by
// when it was due, so that slow ones are not left out. What becomes of a crowd
// counts when it does, unless the whole of it is looked at.
func (f *fleet) counts(p *phone) bool {
	if f.rate > 0 && (!f.crowded || f.whole) {
		return f.measured.holds(p.began)
	}
	return f.measured.holds(f.now)
}

func (f *fleet) recordChallenge(p *phone, sent time.Time) {
	if f.counts(p) {
		f.result.challenges = append(f.result.challenges, f.now.Sub(sent))
	}
}

func (f *fleet) record(p *phone) {
	if f.counts(p) {
		f.result.completed++
		f.result.latencies = append(f.result.latencies, f.now.Sub(p.began))
		f.result.proofs = append(f.result.proofs, f.now.Sub(p.sent))
	}
}

// addressee returns the phone whose Call-ID it is, nil if there is none.
func (f *fleet) addressee(response []byte) *phone {
	_, rest, _ := bytes.Cut(response, []byte("\r\nCall-ID: "))
	number, rest, _ := bytes.Cut(rest, []byte("@"))
	host, _, _ := bytes.Cut(rest, []byte("\r\n"))
	n, err := strconv.Atoi(string(number))
	if err != nil || string(host) != f.host || n < 0 || n >= len(f.phones) {
		return nil
	}
	return &f.phones[n]
}
