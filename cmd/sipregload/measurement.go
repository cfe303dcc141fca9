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
	generator float64       // part of a core that this process had
	known     bool          // whether the server's process is, and so what follows
	cpu       time.Duration // of the server, per registration
	busy      float64       // part of a core that the server had
	resident  int64         // bytes
	shared    redisCounts   // in the span, of the Redis that nodes share
}

// String is one line: what was asked for, then what explains it.
func (m measurement) String() string {
	text := fmt.Sprintf("%.0f %v/s, p50 %v, p99 %v, %d failed, %d retransmissions", m.perSecond, m.deed,
		percentile(m.latencies, 50).Round(10*time.Microsecond), percentile(m.latencies, 99).Round(10*time.Microsecond),
		m.failed, m.resent)
	if m.known {
		text += fmt.Sprintf(", generator %.0f %%, %.1f µs of CPU each (%.0f %% of a core), %.0f MB resident",
			100*m.generator, micros(m.cpu), 100*m.busy, float64(m.resident)/1e6)
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

var errDry = errors.New("no phone is left to begin with; raise -aors, or -bindings in the rows flat and overload")

// measure loads a server with phones that are made for it.
func measure(ctx context.Context, o *options, s *server, over link, p phase) (measurement, error) {
	f, err := newFleet(s, s.peers, newHost(), over)
	if err != nil {
		return measurement{}, err
	}
	defer f.close()
	return f.measure(ctx, o, s, p)
}

// measure loads a server for the warm-up and the span, whatever the phase says
// of them. The processor time is that of the span.
func (f *fleet) measure(ctx context.Context, o *options, s *server, p phase) (measurement, error) {
	processes := s.processes()
	runtime.GC() // now rather than amid the measurement
	from := time.Now().Add(o.warmUp)
	p.measured = span{from, from.Add(o.span)}
	p.meter = newMeter(processes, s.store, p.measured)
	m := measurement{result: f.run(ctx, p)}
	sleepUntil(ctx, p.measured.until) // the last answer may come before
	p.meter.look(time.Now())
	switch {
	case ctx.Err() != nil:
		return m, context.Cause(ctx)
	case m.dry && !p.crowded:
		return m, errors.Join(errDry, m.failure())
	case m.completed == 0:
		return m, errors.Join(fmt.Errorf("none of the %v was completed", m.deed), m.failure())
	case p.meter.err != nil:
		return m, p.meter.err
	case !p.meter.complete():
		return m, errors.Join(errors.New("the load ended before the span did"), m.failure())
	}
	m.perSecond = float64(m.completed) / o.span.Seconds()
	m.generator = p.meter.self.used().Seconds() / o.span.Seconds()
	m.known = s.pid != 0
	m.cpu = p.meter.server.used() / time.Duration(m.completed)
	m.shared = p.meter.shared()
	m.busy = p.meter.server.used().Seconds() / o.span.Seconds()
	var err error
	m.resident, err = processes.resident()
	return m, err
}
