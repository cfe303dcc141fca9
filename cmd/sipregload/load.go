package main

import (
	"context"
	"fmt"
	"slices"
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
	meter    *meter  // that runs in the span; nil: none does
	inFlight int     // at once in a closed loop
	rate     float64 // begun per second in an open loop; 0: it is a closed one
	once     bool    // each phone has one turn, or they go round and round
	turns    int     // with once: ends when so many phones have had theirs; 0: no bound
	query    bool    // bindings are asked for, not made
	crowded  bool    // more than the server can do: some phones give up or are put off
	whole    bool    // in a crowd: what began in the span counts, whenever it ends
}

// deed is what phones do. It says what is counted.
type deed int

const (
	registering deed = iota
	calling
)

func (d deed) String() string {
	if d == calling {
		return "calls"
	}
	return "registrations"
}

// result is what phones have seen: completions of the span, failures and
// retransmissions of all the time.
type result struct {
	deed       deed
	completed  int
	begun      int // in an open loop, in the span
	failed     int
	resent     int
	abandoned  int             // in a crowd, by Timer F
	putOff     int             // in a crowd, with 503
	latencies  []time.Duration // of registrations; in an open loop since they were due
	challenges []time.Duration // of REGISTER to 401
	proofs     []time.Duration // of REGISTER with Authorization to 200
	late       []time.Duration // in an open loop: how long after it was due each began
	dry        bool            // no phone was left to begin with
	err        error           // the first failure
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
		return fmt.Errorf("%d %v failed, the first: %w", r.failed, r.deed, r.err)
	}
	return nil
}

// inOrder sorts what percentiles are taken of.
func (r result) inOrder() result {
	for _, times := range [][]time.Duration{r.latencies, r.challenges, r.proofs, r.late} {
		slices.Sort(times)
	}
	return r
}

// load registers the server's peers in a closed loop, round and round.
func load(ctx context.Context, s *server, inFlight int, measured span) result {
	f, err := newFleet(s, s.peers, newHost(), overUDP())
	if err != nil {
		return result{failed: 1, err: err}
	}
	defer f.close()
	return f.run(ctx, phase{measured: measured, inFlight: inFlight})
}
