package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
)

// callPhones are registered, and call each other.
const callPhones = 10_000

const redirectName = "sipregd, memory"

// benchCalls measures servers that say where a phone is.
func (b *benchmark) benchCalls() error {
	o, of := *b.options, *b
	o.phones = callPhones
	of.options = &o
	rows := of.callRows()
	for range b.rounds {
		for _, r := range rows {
			if err := of.callOnce(r); err != nil {
				return fmt.Errorf("%s, calls: %w", r.name, err)
			}
		}
	}
	of.printCalls(os.Stdout, rows)
	return nil
}

// callRows are those that are possible.
func (b *benchmark) callRows() []*row {
	rows := []*row{{name: redirectName, start: b.startRedirect, over: overUDP(), inFlight: b.inFlight}}
	if _, err := os.Stat(kamailio); err != nil {
		fmt.Println("Kamailio is not installed, so it is not measured (apt-get install kamailio).")
		return rows
	}
	return append(rows,
		&row{name: kamailioName, start: b.startKamailio, over: overUDP(), inFlight: b.inFlight},
		&row{name: statefulName, start: b.startKamailioStateful, over: overUDP(), inFlight: b.inFlight})
}

func (b *benchmark) startRedirect(address netip.AddrPort, directory string) (*server, error) {
	c := configuration{directory: directory, address: address, peers: peersOfSipregd(b.phones), store: "memory", level: "warn", calls: true}
	if err := c.write(); err != nil {
		return nil, err
	}
	return b.startSipregd(&c)
}

// callOnce has all phones register, and then call each other.
func (b *benchmark) callOnce(r *row) error {
	return b.onServer(r, func(s *server) error {
		f, err := newFleet(s, s.peers, newHost(), r.over)
		if err != nil {
			return err
		}
		defer f.close()
		if err := f.run(b.ctx, phase{inFlight: r.inFlight, once: true}).failure(); err != nil {
			return err
		}
		f.again(len(f.phones))
		f.callEachOther()
		m, err := f.measure(b.ctx, b.options, s, phase{inFlight: r.inFlight})
		if err != nil {
			return err
		}
		return r.add(m)
	})
}

// rateOf returns the rate of a row by its name, nothing if there is no such row.
func rateOf(rows []*row, name string) spread {
	for _, r := range rows {
		if r.name == name {
			return r.perSecond()
		}
	}
	return spread{}
}

func (b *benchmark) printCalls(out io.Writer, rows []*row) {
	t := newTable(out, "redirect server", "calls/s", "CPU µs each", "core %", "generator %", "p50 ms", "p99 ms", "sent again", "MB",
		"calls/s : stateless", "CPU : stateless", "calls/s : stateful", "CPU : stateful")
	for _, r := range rows {
		cells := []string{r.name, r.perSecond().text("%.0f"), r.cpu().text("%.1f"), fmt.Sprintf("%.0f", r.busy().median),
			fmt.Sprintf("%.0f", r.generator().median), r.percentile(wholes, 50).text("%.2f"), r.percentile(wholes, 99).text("%.2f"),
			r.spread(func(m measurement) float64 { return float64(m.resent) }).text("%.0f"), fmt.Sprintf("%.0f", r.resident().median)}
		for _, name := range []string{kamailioName, statefulName} {
			cells = append(cells, ratio(r.perSecond(), rateOf(rows, name)), ratio(r.cpu(), costOf(rows, name)))
		}
		t.add(cells...)
	}
	t.flush()
	fmt.Fprintf(out, "\nMedian and range of %d runs, taken in turns. %d phones have registered, and each calls another one, %d at once: INVITE\n"+
		"over UDP, 302 with the Contact that the callee has registered, ACK. The caller's address is in [calls] permit, and\n"+
		"Kamailio asks nobody who he is either; it looks in its own usrloc, with one worker. Until the ACK, the stateful one has\n"+
		"timers to send 302 again, and sipregd answers INVITE again. A call is counted at its 302, and timed until that. %s\n", b.rounds, b.phones, b.inFlight, explanation)
}
