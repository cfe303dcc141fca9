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
	"sync"
	"time"

	"golang.org/x/net/ipv4"
)

const (
	flows   = 8      // source ports
	tick    = t1 / 4 // how often Timer E is looked at
	maxSize = 4096   // bytes of a response
)

// span is the time that is measured. Load begins before it.
type span struct{ from, until time.Time }

func (s span) holds(t time.Time) bool { return !t.Before(s.from) && t.Before(s.until) }

// result is what the flows have seen: completions of the span, failures and
// retransmissions of all the time.
type result struct {
	completed int
	failed    int
	resent    int
	latencies []time.Duration
	err       error // the first failure
}

func (r *result) fail(err error) {
	r.failed++
	if r.err == nil {
		r.err = err
	}
}

// load registers the server's peers, inFlight at once, each again as soon as
// another one is done, until the span is over and all have been answered.
func load(ctx context.Context, s *server, inFlight int, measured span) result {
	results, host := make([]result, flows), newHost()
	var wait sync.WaitGroup
	for i := range flows {
		from, to := share(i, len(s.peers))
		first, last := share(i, inFlight)
		wait.Go(func() {
			f, err := newFlow(s, host, from, to, last-first)
			if err != nil {
				results[i].fail(err)
				return
			}
			defer f.conn.Close()
			f.run(ctx, measured)
			results[i] = f.result
		})
	}
	wait.Wait()
	return sum(results)
}

// share returns where the part of a flow begins and ends.
func share(flow, of int) (from, to int) {
	return flow * of / flows, (flow + 1) * of / flows
}

func sum(results []result) result {
	var all result
	for _, r := range results {
		all.completed += r.completed
		all.failed += r.failed
		all.resent += r.resent
		all.latencies = append(all.latencies, r.latencies...)
		if all.err == nil {
			all.err = r.err
		}
	}
	slices.Sort(all.latencies)
	return all
}

// flow sends from one port. Its phones take turns.
type flow struct {
	conn    *net.UDPConn
	batch   *ipv4.PacketConn
	host    string   // of its phones' Call-IDs
	first   int      // number of the first phone
	phones  []*phone // in the order of their numbers
	idle    []*phone // that wait for their turn, the next one first
	busy    int
	limit   int // of busy phones
	in, out []ipv4.Message
	ticked  time.Time
	result  result
}

func newFlow(s *server, host string, from, to, limit int) (*flow, error) {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(s.address))
	if err != nil {
		return nil, err
	}
	f := &flow{conn: conn, batch: ipv4.NewPacketConn(conn), host: host, first: from, limit: limit}
	f.in = make([]ipv4.Message, limit)
	for i := range f.in {
		f.in[i].Buffers = [][]byte{make([]byte, maxSize)}
	}
	for n := from; n < to; n++ {
		f.phones = append(f.phones, &phone{names: s.peers[n], number: n, host: host, local: conn.LocalAddr().String()})
	}
	f.idle = slices.Clone(f.phones)
	return f, nil
}

// run ends with the span and the last answer. A phone that failed has had its
// turn, and Timer F bounds every wait.
func (f *flow) run(ctx context.Context, measured span) {
	for now := time.Now(); ; now = time.Now() {
		if now.Before(measured.until) && ctx.Err() == nil {
			f.fill(now)
		}
		if now.Sub(f.ticked) >= tick {
			f.resend(now)
		}
		if f.busy == 0 {
			return
		}
		f.flush()
		if err := f.receive(measured); err != nil {
			f.result.fail(err)
			return
		}
	}
}

// fill starts registrations up to the limit.
func (f *flow) fill(now time.Time) {
	for f.busy < f.limit && len(f.idle) > 0 {
		p := f.idle[0]
		f.idle = f.idle[1:]
		f.busy++
		f.queue(p.begin(now))
	}
}

// resend sends again what was lost, and says how long receive may wait.
func (f *flow) resend(now time.Time) {
	f.ticked = now
	_ = f.conn.SetReadDeadline(now.Add(tick))
	for _, p := range f.phones {
		request, err := p.resend(now)
		switch {
		case err != nil:
			f.busy--
			f.result.fail(err)
		case request != nil:
			f.result.resent++
			f.queue(request)
		}
	}
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
		f.busy--
		f.result.fail(err)
	case next != nil:
		f.queue(next)
	case complete:
		f.busy--
		f.idle = append(f.idle, p)
		if measured.holds(now) {
			f.result.completed++
			f.result.latencies = append(f.result.latencies, now.Sub(p.began))
		}
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
