package main

import (
	"fmt"
	"io"
	"os"
)

// flatRow is a daemon with so many bindings stored, which phones refresh in
// turns.
type flatRow struct {
	row
	bindings int
	memory   memory // at the end
}

// benchFlat measures whether a registration costs more where more bindings are
// stored. Two daemons with the same peers share the server's core; while one is
// measured the other one has nothing to do.
func (b *benchmark) benchFlat() error {
	few, many := newFlatRow(b.phones), newFlatRow(b.bindings)
	c := configuration{peers: shared(scattered(b.bindings), b.sharing), store: "memory", level: "warn"}
	err := b.withSipregd(c, "", func(smaller *server) error {
		return b.withSipregd(c, "", func(larger *server) error {
			return b.compareFlat(smaller, larger, few, many)
		})
	})
	if err != nil {
		return fmt.Errorf("sipregd, %s and %s: %w", few.name, many.name, err)
	}
	b.printFlat(os.Stdout, few, many)
	return nil
}

func newFlatRow(bindings int) *flatRow {
	return &flatRow{row: row{name: fmt.Sprintf("%d bindings", bindings)}, bindings: bindings}
}

// compareFlat measures two daemons in turns.
func (b *benchmark) compareFlat(smaller, larger *server, few, many *flatRow) error {
	fewPhones, err := b.bound(smaller, few.bindings)
	if err != nil {
		return err
	}
	defer fewPhones.close()
	manyPhones, err := b.bound(larger, many.bindings)
	if err != nil {
		return err
	}
	defer manyPhones.close()
	for range b.rounds {
		if err := b.measureFlat(few, fewPhones, smaller); err != nil {
			return err
		}
		if err := b.measureFlat(many, manyPhones, larger); err != nil {
			return err
		}
	}
	return nil
}

func (b *benchmark) measureFlat(r *flatRow, f *fleet, s *server) error {
	m, err := f.measure(b.ctx, b.options, s, phase{inFlight: b.inFlight})
	if err == nil {
		err = r.add(m)
	}
	if err != nil {
		return err
	}
	r.memory, err = memoryOf(s.pid)
	return err
}

// bound returns phones that have registered, the first so many of a server's.
func (b *benchmark) bound(s *server, count int) (*fleet, error) {
	const step = 100_000
	f, err := newFleet(s, s.peers[:count], newHost(), overUDP())
	if err != nil {
		return nil, err
	}
	for turns := 0; turns < count; {
		turns = min(turns+step, count)
		if err := f.run(b.ctx, phase{inFlight: b.inFlight, once: true, turns: turns}).failure(); err != nil {
			f.close()
			return nil, err
		}
		if count > step {
			fmt.Fprintf(os.Stderr, "%d of %d bindings made\n", turns, count)
		}
	}
	f.again(count)
	return f, nil
}

// printFlat compares both.
func (b *benchmark) printFlat(out io.Writer, few, many *flatRow) {
	t := newTable(out, "sipregd, memory", "registrations/s", "CPU µs each", "CPU : "+few.name, "core %", "generator %",
		"MB", "bytes per binding, all told", "bytes for each that the other has not")
	for _, r := range []*flatRow{few, many} {
		more := "-"
		if added := int64(r.bindings - few.bindings); added > 0 {
			more = fmt.Sprint((r.memory.resident - few.memory.resident) / added)
		}
		t.add(r.name, r.perSecond().text("%.0f"), r.cpu().text("%.1f"), ratio(r.cpu(), few.cpu()),
			fmt.Sprintf("%.0f", r.busy().median), fmt.Sprintf("%.0f", r.generator().median),
			megabytes(r.memory.resident), fmt.Sprint(r.memory.resident/int64(r.bindings)), more)
	}
	t.flush()
	fmt.Fprintf(out, "\nMedian and range of %d runs. Refreshes by phones that go round over all that is stored; both daemons have\n"+
		"%d peers with %d AORs. %s\n", b.rounds, (b.bindings+b.sharing-1)/b.sharing, b.bindings, explanation)
}
