package main

import (
	"context"
	"os"
	"time"
)

// meter reads the processor time of the server and of this process where a span
// begins and where it ends, and what Redis counts if nodes share one.
type meter struct {
	span
	server, self gauge
	store        *redis
	counted      []redisCounts
	err          error
}

// gauge is the processor time that a family has used from one reading to
// another.
type gauge struct {
	family
	readings []time.Duration
}

func newMeter(server family, store *redis, measured span) *meter {
	return &meter{span: measured, server: gauge{family: server}, self: gauge{family: family{os.Getpid()}}, store: store}
}

// look reads the clocks once the time has come. It is to be called often.
func (m *meter) look(now time.Time) {
	if m == nil {
		return
	}
	switch read := len(m.self.readings); {
	case m.err != nil, read == 2:
	case read == 0 && !now.Before(m.from), read == 1 && !now.Before(m.until):
		m.err = m.server.read()
		if m.err == nil {
			m.err = m.readStore()
		}
		if m.err == nil {
			m.err = m.self.read()
		}
	}
}

func (m *meter) readStore() error {
	if m.store == nil {
		return nil
	}
	counts, err := m.store.counts()
	m.counted = append(m.counted, counts)
	return err
}

// shared is what Redis has counted between the two readings.
func (m *meter) shared() redisCounts {
	if len(m.counted) < 2 {
		return redisCounts{}
	}
	return m.counted[1].since(m.counted[0])
}

func (g *gauge) read() error {
	used, err := g.processorTime()
	g.readings = append(g.readings, used)
	return err
}

// used is what came between the two readings.
func (g *gauge) used() time.Duration { return g.readings[1] - g.readings[0] }

// complete tells whether both readings are there.
func (m *meter) complete() bool { return len(m.self.readings) == 2 }

func sleepUntil(ctx context.Context, t time.Time) {
	ctx, cancel := context.WithDeadline(ctx, t)
	defer cancel()
	<-ctx.Done()
}
