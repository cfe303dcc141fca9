package main

import (
	"bytes"
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
	flows   = 8                      // source ports
	timerE  = 500 * time.Millisecond // before a request is sent again (RFC 3261 §17.1.2.2)
	tries   = 8                      // of a request, before the registration has failed
	maxSize = 4096                   // bytes of a response
)

// result is what one flow has measured.
type result struct {
	completed int
	failed    int
	latencies []time.Duration
	err       error // the first failure
}

// load registers phones, each again as soon as another one is done, until the
// time is over. Only what is completed after from counts.
func load(o *options, s *server, from, until time.Time) result {
	var wait sync.WaitGroup
	results := make([]result, flows)
	for i := range flows {
		wait.Go(func() {
			f, err := newFlow(s, i, o.phones/flows, o.inFlight/flows)
			if err != nil {
				results[i].err = err
				return
			}
			defer f.conn.Close()
			results[i] = f.run(from, until)
		})
	}
	wait.Wait()
	var all result
	for i := range results {
		all.completed += results[i].completed
		all.failed += results[i].failed
		all.latencies = append(all.latencies, results[i].latencies...)
		all.err = errors.Join(all.err, results[i].err)
	}
	slices.Sort(all.latencies)
	return all
}

// flow sends from one port. Its phones take turns.
type flow struct {
	conn    *net.UDPConn
	batch   *ipv4.PacketConn
	phones  []*phone // that wait for their turn, the next one first
	busy    map[string]*phone
	limit   int
	in, out []ipv4.Message
	result  result
}

func newFlow(s *server, number, phones, inFlight int) (*flow, error) {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(s.address))
	if err != nil {
		return nil, err
	}
	f := &flow{conn: conn, batch: ipv4.NewPacketConn(conn), busy: map[string]*phone{}, limit: inFlight}
	f.in = make([]ipv4.Message, inFlight)
	for i := range f.in {
		f.in[i].Buffers = [][]byte{make([]byte, maxSize)}
	}
	for i := range phones {
		n := number*phones + i
		f.phones = append(f.phones, &phone{names: s.names(n), number: n, local: conn.LocalAddr().String()})
	}
	return f, nil
}

func (f *flow) run(from, until time.Time) result {
	for now := time.Now(); now.Before(until) && f.result.err == nil; now = time.Now() {
		f.fill(now)
		f.flush()
		f.receive(from)
	}
	return f.result
}

// fill starts registrations up to the limit.
func (f *flow) fill(now time.Time) {
	for len(f.busy) < f.limit && len(f.phones) > 0 {
		p := f.phones[0]
		f.phones = f.phones[1:]
		f.busy[strconv.Itoa(p.number)] = p
		f.queue(p.begin(now))
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

// receive takes a batch of responses, or sends again what waits too long.
func (f *flow) receive(from time.Time) {
	_ = f.conn.SetReadDeadline(time.Now().Add(timerE / 4))
	n, err := f.batch.ReadBatch(f.in, 0)
	now := time.Now()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		f.sendAgain(now)
		return
	}
	if err != nil {
		f.fail(err)
		return
	}
	for i := range n {
		f.take(f.in[i].Buffers[0][:f.in[i].N], now, from)
	}
}

func (f *flow) take(response []byte, now, from time.Time) {
	_, rest, _ := bytes.Cut(response, []byte("Call-ID: "))
	number, _, _ := bytes.Cut(rest, []byte("@"))
	p := f.busy[string(number)]
	if p == nil {
		return
	}
	next, complete, err := p.receive(response, now)
	switch {
	case err != nil:
		f.fail(err)
	case next != nil:
		f.queue(next)
	case complete:
		f.done(p)
		if now.After(from) {
			f.result.completed++
			f.result.latencies = append(f.result.latencies, now.Sub(p.began))
		}
	}
}

// done puts a phone behind the others.
func (f *flow) done(p *phone) {
	delete(f.busy, strconv.Itoa(p.number))
	f.phones = append(f.phones, p)
}

func (f *flow) sendAgain(now time.Time) {
	for _, p := range f.busy {
		switch {
		case now.Sub(p.sent) < timerE:
		case p.tries == tries:
			f.fail(fmt.Errorf("no answer to\n%s", p.request))
			f.done(p)
		default:
			p.tries++
			p.sent = now
			f.queue(p.request)
		}
	}
}

func (f *flow) fail(err error) {
	f.result.failed++
	if f.result.err == nil {
		f.result.err = err
	}
}
