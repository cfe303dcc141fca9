package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/net/ipv4"
)

const (
	flows   = 8       // source ports
	tick    = t1 / 4  // how often Timer E is looked at
	maxSize = 4096    // bytes of a response
	batch   = 64      // responses taken at once
	backlog = 4 << 20 // bytes asked of the kernel for responses that wait
)

// flow sends from one port. Its phones take turns.
type flow struct {
	conn    *net.UDPConn
	batch   *ipv4.PacketConn
	host    string   // of its phones' Call-IDs
	first   int      // number of the first phone
	phones  []*phone // in the order of their numbers
	idle    []*phone // that wait for their turn, the next one first
	busy    []*phone
	done    []*phone // that have had their one turn
	buffers [][]byte // of requests that nobody needs any more
	in, out []ipv4.Message
	ticked  time.Time

	phase
	limit    int           // of busy phones
	interval time.Duration // in an open loop, between two that are due
	due      time.Time     // in an open loop, the next one
	result   result
}

func newFlow(s *server, host string, from, to, limit int) (*flow, error) {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(s.address))
	if err != nil {
		return nil, err
	}
	// What the kernel grants is enough; a smaller buffer is no error.
	_ = conn.SetReadBuffer(backlog)
	f := &flow{conn: conn, batch: ipv4.NewPacketConn(conn), host: host, first: from, limit: limit}
	f.in = make([]ipv4.Message, batch)
	for i := range f.in {
		f.in[i].Buffers = [][]byte{make([]byte, maxSize)}
	}
	local := conn.LocalAddr().String()
	f.phones = make([]*phone, 0, to-from)
	for n := from; n < to; n++ {
		f.phones = append(f.phones, &phone{names: s.peers[n], number: n, host: host, local: local})
	}
	f.idle = slices.Clone(f.phones)
	return f, nil
}

// believe tells the phones another host:port than that of their socket.
func (f *flow) believe(local string) {
	for _, p := range f.phones {
		p.local = local
	}
}

// prepare sets out the flow's part of a phase. In an open loop the flows take
// turns, so that what is due is spread evenly.
func (f *flow) prepare(p phase, number int, now time.Time) {
	f.phase, f.result, f.limit = p, result{}, size(number, p.inFlight)
	if p.turns > 0 {
		f.turns = size(number, p.turns)
	}
	if p.rate > 0 {
		f.interval = time.Duration(float64(flows) / p.rate * float64(time.Second))
		f.due = now.Add(f.interval * time.Duration(number) / flows)
	}
}

// run ends with the phase and the last answer. A phone that failed has had its
// turn, and Timer F bounds every wait.
func (f *flow) run(ctx context.Context) {
	for now := time.Now(); ; now = time.Now() {
		more := ctx.Err() == nil && f.begin(now)
		if now.Sub(f.ticked) >= tick {
			f.resend(now)
		}
		if len(f.busy) == 0 && !more {
			return
		}
		f.flush()
		f.waitUntilDue(more)
		if err := f.receive(f.measured); err != nil {
			f.result.fail(err)
			return
		}
	}
}

// begin starts what is to be started now, and tells whether there is more to
// come even if no answer does.
func (f *flow) begin(now time.Time) (more bool) {
	if f.rate > 0 {
		return f.arrive(now)
	}
	if !f.measured.over(now) {
		f.fill(now)
	}
	return false
}

// fill starts registrations up to the limit.
func (f *flow) fill(now time.Time) {
	for len(f.busy) < f.limit && f.hasNext() {
		f.start(now)
	}
}

// arrive starts the registrations that are due by now. Their time counts from
// when they were due, so that a server that holds the generator up is not
// forgiven.
func (f *flow) arrive(now time.Time) (more bool) {
	for !f.measured.over(f.due) && f.hasNext() {
		if f.due.After(now) {
			return true
		}
		if f.measured.holds(f.due) {
			f.result.late = append(f.result.late, now.Sub(f.due))
		}
		f.start(f.due)
		f.due = f.due.Add(f.interval)
	}
	return false
}

// hasNext tells whether a phone is to have its turn. It takes down where one
// should be and is not.
func (f *flow) hasNext() bool {
	if f.turns > 0 && len(f.done)+len(f.busy) >= f.turns {
		return false
	}
	if len(f.idle) == 0 && (f.rate > 0 || f.once && !f.measured.until.IsZero()) {
		f.result.dry = true
	}
	return len(f.idle) > 0
}

func (f *flow) start(due time.Time) {
	p := f.idle[0]
	f.idle = f.idle[1:]
	if last := len(f.buffers) - 1; p.request == nil && last >= 0 {
		p.request, f.buffers = f.buffers[last], f.buffers[:last]
	}
	p.query, p.place = f.query, len(f.busy)
	f.busy = append(f.busy, p)
	f.queue(p.begin(due))
}

// end takes a phone out of the busy ones.
func (f *flow) end(p *phone) {
	last := len(f.busy) - 1
	f.busy[p.place] = f.busy[last]
	f.busy[p.place].place = p.place
	f.busy = f.busy[:last]
}

// complete gives a phone that has registered its next turn, if it has one.
func (f *flow) complete(p *phone) {
	f.end(p)
	f.buffers = append(f.buffers, p.request)
	p.request = nil
	if f.once {
		f.done = append(f.done, p)
	} else {
		f.idle = append(f.idle, p)
	}
}

// resend sends again what was lost, and says how long receive may wait.
func (f *flow) resend(now time.Time) {
	f.ticked = now
	_ = f.conn.SetReadDeadline(now.Add(tick))
	for i := len(f.busy) - 1; i >= 0; i-- { // end moves the last one to i
		p := f.busy[i]
		request, err := p.resend(now)
		switch {
		case err != nil:
			f.end(p)
			f.result.fail(err)
		case request != nil:
			f.result.resent++
			f.queue(request)
		}
	}
}

// waitUntilDue has receive wait no longer than to what is due next, but look at
// what has come in any case.
func (f *flow) waitUntilDue(more bool) {
	const look = 100 * time.Microsecond
	if f.rate == 0 {
		return
	}
	wait := time.Until(f.ticked.Add(tick))
	if more {
		wait = min(wait, time.Until(f.due))
	}
	_ = f.conn.SetReadDeadline(time.Now().Add(max(wait, look)))
}

func (f *flow) queue(data []byte) {
	f.out = append(f.out, ipv4.Message{Buffers: [][]byte{data}})
}

// flush sends what is queued. What the kernel does not take is sent again
// later, as if it had been lost.
func (f *flow) flush() {
	for rest := f.out; len(rest) > 0; {
		n, err := f.batch.WriteBatch(rest, 0)
		if err != nil {
			break
		}
		rest = rest[n:]
	}
	f.out = f.out[:0]
}

// receive takes a batch of responses. No response in time is no error.
func (f *flow) receive(measured span) error {
	n, err := f.batch.ReadBatch(f.in, 0)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err != nil {
		return err
	}
	now := time.Now()
	for i := range n {
		f.take(f.in[i].Buffers[0][:f.in[i].N], now, measured)
	}
	return nil
}

func (f *flow) take(response []byte, now time.Time, measured span) {
	p := f.addressee(response)
	if p == nil {
		f.result.fail(fmt.Errorf("%w: the Call-ID is of no phone:\n%s", errUnexpected, response))
		return
	}
	next, complete, err := p.receive(response, now)
	switch {
	case err != nil:
		f.end(p)
		f.result.fail(err)
	case next != nil:
		f.queue(next)
	case complete:
		f.complete(p)
		f.record(p, now, measured)
	}
}

// record counts a registration that belongs to the span: in an open loop by
// when it was due, so that slow ones are not left out.
func (f *flow) record(p *phone, now time.Time, measured span) {
	when := now
	if f.rate > 0 {
		when = p.began
	}
	if measured.holds(when) {
		f.result.completed++
		f.result.latencies = append(f.result.latencies, now.Sub(p.began))
		f.result.proofs = append(f.result.proofs, now.Sub(p.sent))
	}
}

// addressee returns the phone whose Call-ID it is, nil if there is none.
func (f *flow) addressee(response []byte) *phone {
	_, rest, _ := bytes.Cut(response, []byte("\r\nCall-ID: "))
	number, rest, _ := bytes.Cut(rest, []byte("@"))
	n, err := strconv.Atoi(string(number))
	if err != nil || !bytes.HasPrefix(rest, []byte(f.host+"\r\n")) || n < f.first || n >= f.first+len(f.phones) {
		return nil
	}
	return f.phones[n-f.first]
}
