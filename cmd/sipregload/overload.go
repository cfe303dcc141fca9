package main

import (
	"fmt"
	"io"
	"os"
)

// tooMuch is how many times a server's top rate it is asked for.
const tooMuch = 3

// overloadRow is what a server makes of too much.
type overloadRow struct {
	top, crowd row
	asked      []float64 // registrations/s, for each run
}

// benchOverload asks for more than a daemon can do.
func (b *benchmark) benchOverload() error {
	r := &overloadRow{top: row{name: "sipregd, memory, top rate"}, crowd: row{name: "sipregd, memory, too much"}}
	c := configuration{peers: shared(scattered(b.bindings), b.sharing), store: "memory", level: "warn"}
	err := b.withSipregd(c, "", func(s *server) error {
		f, err := newFleet(s, s.peers, newHost(), overUDP())
		if err != nil {
			return err
		}
		defer f.close()
		for range b.rounds {
			if err := b.crowd(r, f, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", r.crowd.name, err)
	}
	b.printOverload(os.Stdout, r)
	return nil
}

// crowd measures the top rate, and just then what is left of it in a crowd.
func (b *benchmark) crowd(r *overloadRow, f *fleet, s *server) error {
	m, err := f.measure(b.ctx, b.options, s, phase{inFlight: b.pending})
	if err == nil {
		err = r.top.add(m)
	}
	if err != nil {
		return err
	}
	asked := tooMuch * m.perSecond
	r.asked = append(r.asked, asked)
	m, err = f.measure(b.ctx, b.options, s, phase{rate: asked, crowded: true})
	if err != nil {
		return err
	}
	return r.crowd.add(m)
}

// achieved are the parts of what was asked that the generator offered.
func (b *benchmark) achieved(r *overloadRow) spread {
	parts := make([]float64, len(r.crowd.runs))
	for i, m := range r.crowd.runs {
		parts[i] = b.offered(m) / r.asked[i]
	}
	return spreadOf(parts)
}

// kept are the parts of the top rate that were completed in a crowd.
func (r *overloadRow) kept() spread {
	parts := make([]float64, len(r.crowd.runs))
	for i, m := range r.crowd.runs {
		parts[i] = m.perSecond / r.top.runs[i].perSecond
	}
	return spreadOf(parts)
}

// offered is how many registrations were begun per second.
func (b *benchmark) offered(m measurement) float64 { return float64(m.begun) / b.span.Seconds() }

func (b *benchmark) printOverload(out io.Writer, r *overloadRow) {
	count := func(of func(result) int) string {
		return r.crowd.spread(func(m measurement) float64 { return float64(of(m.result)) }).text("%.0f")
	}
	achieved := b.achieved(r)
	t := newTable(out, "overload", "top rate/s", "asked for/s", "offered/s", "offered : asked", "completed/s", "completed : top rate",
		"core %", "generator %", "sent again", "given up", "answered 503", "MB")
	t.add("sipregd, memory", r.top.perSecond().text("%.0f"), spreadOf(r.asked).text("%.0f"),
		r.crowd.spread(b.offered).text("%.0f"), achieved.text("%.2f"), r.crowd.perSecond().text("%.0f"), r.kept().text("%.2f"),
		fmt.Sprintf("%.0f", r.crowd.busy().median), fmt.Sprintf("%.0f", r.crowd.generator().median),
		count(func(m result) int { return m.resent }), count(func(m result) int { return m.abandoned }),
		count(func(m result) int { return m.putOff }), fmt.Sprintf("%.0f", r.crowd.resident().median))
	t.flush()
	fmt.Fprintf(out, "\nMedian and range of %d runs. An open loop asks for %d times the top rate of just before, each registration by a\n"+
		"phone that has nothing to do. Who gets no answer sends again by Timer E and gives up by Timer F, after %v; all but\n"+
		"the rates counts until the last one has done so.\n", b.rounds, tooMuch, timerF)
	if achieved.low < 0.95 {
		fmt.Fprintf(out, "The generator could not keep it up on its core: where %q is below 1, less was asked of the server.\n", "offered : asked")
	}
}
