package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// measurement is what one run against one server gave.
type measurement struct {
	result
	perSecond float64
	known     bool          // whether the server's process is, and so what follows
	cpu       time.Duration // of the server, per registration
	busy      float64       // part of a core that the server had
	resident  int64         // bytes
}

// String is one line: what was asked for, then what explains it.
func (m measurement) String() string {
	text := fmt.Sprintf("%.0f registrations/s, p50 %v, p99 %v, %d failed, %d retransmissions", m.perSecond,
		percentile(m.latencies, 50).Round(10*time.Microsecond), percentile(m.latencies, 99).Round(10*time.Microsecond),
		m.failed, m.resent)
	if m.known {
		text += fmt.Sprintf(", %.1f µs of CPU each (%.0f %% of a core), %.0f MB resident",
			micros(m.cpu), 100*m.busy, float64(m.resident)/1e6)
	}
	return text
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// percentile of durations in order; 0 if there are none.
func percentile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}

var errDry = errors.New("no phone is left that has not registered yet; raise -aors")

// measure loads a server in a closed loop, round and round.
func measure(ctx context.Context, o *options, s *server) (measurement, error) {
	fl, err := newFleet(s, s.peers, newHost(), "")
	if err != nil {
		return measurement{}, err
	}
	defer fl.close()
	return fl.measure(ctx, o, s, phase{inFlight: o.inFlight})
}

// measure loads a server for the warm-up and the span, whatever the phase says
// of them. The processor time is that of the span.
func (fl *fleet) measure(ctx context.Context, o *options, s *server, p phase) (measurement, error) {
	processes := family{}
	if s.pid != 0 {
		processes = familyOf(s.pid)
	}
	runtime.GC() // now rather than amid the measurement
	from := time.Now().Add(o.warmUp)
	p.measured = span{from, from.Add(o.span)}
	loaded := make(chan result, 1)
	go func() { loaded <- fl.run(ctx, p) }()
	used, err := processes.spentIn(ctx, p.measured)
	m := measurement{result: <-loaded}
	switch {
	case ctx.Err() != nil:
		return m, context.Cause(ctx)
	case m.dry:
		return m, errors.Join(errDry, m.failure())
	case m.completed == 0:
		return m, errors.Join(errors.New("no registration was completed"), m.failure())
	case err != nil:
		return m, err
	}
	m.perSecond = float64(m.completed) / o.span.Seconds()
	m.known = s.pid != 0
	m.cpu = used / time.Duration(m.completed)
	m.busy = used.Seconds() / o.span.Seconds()
	m.resident, err = processes.resident()
	return m, err
}
