package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// measurement is what one run against one server gave.
type measurement struct {
	result
	perSecond float64
	p50, p99  time.Duration
	known     bool          // whether the server's process is, and so what follows
	cpu       time.Duration // of the server, per registration
	busy      float64       // part of a core that the server had
	resident  int64         // bytes
}

// String is one line: what was asked for, then what explains it.
func (m measurement) String() string {
	text := fmt.Sprintf("%.0f registrations/s, p50 %v, p99 %v, %d failed, %d retransmissions", m.perSecond,
		m.p50.Round(10*time.Microsecond), m.p99.Round(10*time.Microsecond), m.failed, m.resent)
	if m.known {
		text += fmt.Sprintf(", %.1f µs of CPU each (%.0f %% of a core), %.0f MB resident",
			micros(m.cpu), 100*m.busy, float64(m.resident)/1e6)
	}
	return text
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// failure is nil if every registration has succeeded.
func (m measurement) failure() error {
	if m.err != nil {
		return fmt.Errorf("%d registrations failed, the first: %w", m.failed, m.err)
	}
	return nil
}

// measure loads a server for the warm-up and the span. The processor time is
// that of the span.
func measure(ctx context.Context, o *options, s *server) (measurement, error) {
	processes := family{}
	if s.pid != 0 {
		processes = familyOf(s.pid)
	}
	from := time.Now().Add(o.warmUp)
	measured := span{from, from.Add(o.span)}
	loaded := make(chan result, 1)
	go func() { loaded <- load(ctx, s, o.inFlight, measured) }()
	used, err := processes.spentIn(ctx, measured)
	m := measurement{result: <-loaded}
	if ctx.Err() != nil {
		return m, context.Cause(ctx)
	}
	if m.completed == 0 {
		return m, errors.Join(errors.New("no registration was completed"), m.failure())
	}
	if err != nil {
		return m, err
	}
	m.perSecond = float64(m.completed) / o.span.Seconds()
	m.p50 = m.latencies[len(m.latencies)*50/100]
	m.p99 = m.latencies[len(m.latencies)*99/100]
	m.known = s.pid != 0
	m.cpu = used / time.Duration(m.completed)
	m.busy = used.Seconds() / o.span.Seconds()
	m.resident, err = processes.resident()
	return m, err
}
