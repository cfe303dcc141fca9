package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// span is the time that is measured. Load begins before it.
type span struct{ from, until time.Time }

func (s span) holds(t time.Time) bool { return !t.Before(s.from) && t.Before(s.until) }

// over tells whether the time is up. Without a span it never is.
func (s span) over(t time.Time) bool { return !s.until.IsZero() && !t.Before(s.until) }

// phase is a stretch of load: a closed loop, which begins a registration as
// soon as another one is done, or an open one, which begins them at a fixed
// rate whatever becomes of them.
type phase struct {
	measured span
	inFlight int     // at once in a closed loop
	rate     float64 // begun per second in an open loop; 0: it is a closed one
	once     bool    // each phone has one turn, or they go round and round
	turns    int     // with once: ends when so many phones have had theirs; 0: no bound
	query    bool    // bindings are asked for, not made
}

// result is what the flows have seen: completions of the span, failures and
// retransmissions of all the time.
type result struct {
	completed int
	failed    int
	resent    int
	latencies []time.Duration // of registrations; in an open loop since they were due
	proofs    []time.Duration // of REGISTER with Authorization to 200
	late      []time.Duration // in an open loop: how long after it was due each began
	dry       bool            // no phone was left to begin with
	err       error           // the first failure
}

func (r *result) fail(err error) {
	r.failed++
	if r.err == nil {
		r.err = err
	}
}

// failure is nil if every registration has succeeded.
func (r result) failure() error {
	if r.err != nil {
		return fmt.Errorf("%d registrations failed, the first: %w", r.failed, r.err)
	}
	return nil
}

// fleet is phones with one binding each, which they keep from phase to phase.
type fleet struct{ flows []*flow }

// newFleet opens the sockets for the phones of peers. The host is that of their
// Call-IDs. local is the host:port they believe they have, as behind a NAT;
// empty: that of their socket.
func newFleet(s *server, peers []names, host, local string) (*fleet, error) {
	fl := &fleet{}
	for i := range flows {
		from, to := share(i, len(peers))
		f, err := newFlow(&server{address: s.address, peers: peers}, host, from, to, 0)
		if err != nil {
			fl.close()
			return nil, err
		}
		if local != "" {
			f.believe(local)
		}
		fl.flows = append(fl.flows, f)
	}
	return fl, nil
}

// imported says that the phones' bindings are there, made with CSeq 1.
func (fl *fleet) imported() {
	for _, f := range fl.flows {
		for _, p := range f.phones {
			p.bound, p.cseq = true, 1
		}
	}
}

func (fl *fleet) close() {
	for _, f := range fl.flows {
		_ = f.conn.Close()
	}
}

// run ends with the phase and the last answer.
func (fl *fleet) run(ctx context.Context, p phase) result {
	results, now := make([]result, len(fl.flows)), time.Now()
	var wait sync.WaitGroup
	for i, f := range fl.flows {
		f.prepare(p, i, now)
		wait.Go(func() {
			f.run(ctx)
			results[i] = f.result
		})
	}
	wait.Wait()
	return sum(results)
}

// again gives so many of those another turn that have had one.
func (fl *fleet) again(count int) {
	for i, f := range fl.flows {
		f.idle, f.done = f.done[:min(size(i, count), len(f.done))], nil
	}
}

// load registers the server's peers in a closed loop, round and round.
func load(ctx context.Context, s *server, inFlight int, measured span) result {
	fl, err := newFleet(s, s.peers, newHost(), "")
	if err != nil {
		return result{failed: 1, err: err}
	}
	defer fl.close()
	return fl.run(ctx, phase{measured: measured, inFlight: inFlight})
}

// share returns where the part of a flow begins and ends.
func share(flow, of int) (from, to int) {
	return flow * of / flows, (flow + 1) * of / flows
}

func size(flow, of int) int {
	from, to := share(flow, of)
	return to - from
}

func sum(results []result) result {
	var all result
	for _, r := range results {
		all.completed += r.completed
		all.failed += r.failed
		all.resent += r.resent
		all.latencies = append(all.latencies, r.latencies...)
		all.proofs = append(all.proofs, r.proofs...)
		all.late = append(all.late, r.late...)
		all.dry = all.dry || r.dry
		if all.err == nil {
			all.err = r.err
		}
	}
	slices.Sort(all.latencies)
	slices.Sort(all.proofs)
	slices.Sort(all.late)
	return all
}
