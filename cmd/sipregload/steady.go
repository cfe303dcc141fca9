package main

import (
	"fmt"
	"io"
	"os"
)

// steadyPhones are enough that none is asked to register while it still does.
const steadyPhones = 20_000

// benchSteady measures how long phones wait at four fifths of the top rate.
func (b *benchmark) benchSteady() error {
	top, again := &row{name: "sipregd, memory, top rate"}, &row{name: "sipregd, memory, top rate afterwards"}
	most, floor := &row{name: "sipregd, memory"}, &row{name: floorName + ", the same rate"}
	var stood []pauses
	for range b.rounds {
		rate, err := b.steadyRound(top, most, again)
		if err != nil {
			return fmt.Errorf("%s: %w", most.name, err)
		}
		if err := b.steadyFloor(floor, rate); err != nil {
			return fmt.Errorf("%s: %w", floor.name, err)
		}
		p, err := watchPauses(b.cores.server, b.span)
		if err != nil {
			return err
		}
		stood = append(stood, p)
	}
	b.printSteady(os.Stdout, most, floor)
	printSwing(os.Stdout, top, again)
	printPauses(os.Stdout, stood, b.span)
	return nil
}

// steadyRound measures the top rate, then four fifths of it, which it returns, and
// the top rate again.
func (b *benchmark) steadyRound(top, most, again *row) (rate float64, err error) {
	c := configuration{peers: shared(scattered(steadyPhones), b.sharing), store: "memory", level: "warn"}
	err = b.withSipregd(c, "", func(s *server) error {
		f, err := b.bound(s, steadyPhones)
		if err != nil {
			return err
		}
		defer f.close()
		before, err := b.measureTop(top, f, s)
		if err != nil {
			return err
		}
		rate = before * 4 / 5
		if err = b.measureSteady(most, f, s, rate); err == nil {
			_, err = b.measureTop(again, f, s)
		}
		return err
	})
	return rate, err
}

func (b *benchmark) measureTop(r *row, f *fleet, s *server) (perSecond float64, err error) {
	m, err := f.measure(b.ctx, b.options, s, phase{inFlight: b.inFlight})
	if err != nil {
		return 0, err
	}
	return m.perSecond, r.add(m)
}

// printSwing says how far the top rate had gone up or down when it was measured again.
func printSwing(out io.Writer, before, after *row) {
	swings := make([]float64, len(before.runs))
	for i := range swings {
		swings[i] = after.runs[i].perSecond / before.runs[i].perSecond
	}
	fmt.Fprintf(out, "\nThe top rate, measured again right after that, was %s times that before. Where it has gone\n"+
		"down, 80 %% of the one was more of the other.\n", spreadOf(swings).text("%.2f"))
}

// steadyFloor tells what of the times is the machine's and the generator's.
func (b *benchmark) steadyFloor(floor *row, rate float64) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	s, err := b.startEcho(address, "")
	if err != nil {
		return err
	}
	defer s.stop()
	f, err := newFleet(s, peersOfSipregd(steadyPhones), newHost(), overUDP())
	if err != nil {
		return err
	}
	defer f.close()
	return b.measureSteady(floor, f, s, rate)
}

func (b *benchmark) measureSteady(r *row, f *fleet, s *server, rate float64) error {
	// Where the machine slows down meanwhile, the rate may be too much.
	m, err := f.measure(b.ctx, b.options, s, phase{rate: rate, crowded: true})
	if err != nil {
		return err
	}
	return r.add(m)
}

func (b *benchmark) printSteady(out io.Writer, rows ...*row) {
	t := newTable(out, "at 80 % of the top rate", "registrations/s", "core %", "generator %",
		"REGISTER to 401: p50 ms", "p99 ms", "most ms", "REGISTER to 200: p50 ms", "p99 ms", "most ms",
		"both, since due: p50 ms", "p99 ms", "most ms", "sent again", "begun late: p99 ms", "most ms")
	for _, r := range rows {
		cells := []string{r.name, r.perSecond().text("%.0f"), fmt.Sprintf("%.0f", r.busy().median), fmt.Sprintf("%.0f", r.generator().median)}
		for _, times := range []timesOf{firsts, proofs, wholes} {
			cells = append(cells, r.percentile(times, 50).text("%.2f"), r.percentile(times, 99).text("%.2f"), r.percentile(times, 100).text("%.1f"))
		}
		t.add(append(cells, r.spread(func(m measurement) float64 { return float64(m.resent) }).text("%.0f"),
			r.percentile(lates, 99).text("%.2f"), r.percentile(lates, 100).text("%.1f"))...)
	}
	t.flush()
	fmt.Fprintf(out, "\nMedian and range of %d runs with %d phones, each at a rate that is told from the run before it. An open loop:\n"+
		"registrations begin at a fixed rate, whatever becomes of them. REGISTER to 401 and, with Authorization, to 200\n"+
		"count from when it was sent; what was begun late is the generator's doing. The floor tells what of all times is\n"+
		"the machine's: it computes nothing and stops for nothing.\n", b.rounds, steadyPhones)
}
