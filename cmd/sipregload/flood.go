package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

const (
	manyStrangers = 20_000
	offices       = 50               // addresses that phones are behind
	refreshTime   = 10 * time.Second // in which each phone refreshes once

	// What has to hold.
	leastRefreshed = 0.99
	mostGrowth     = 100e6 // bytes
	longestReturn  = time.Minute
	filled         = 25e6 // bytes that memory may be up by afterwards: tables of a fixed size have filled up
)

// overOffices has phones live as they do: some behind each address.
func overOffices() link {
	return link{transport: "UDP", wires: offices, lanes: offices, sources: offices}
}

// floodRow is what becomes of phones and of memory while strangers flood a server.
type floodRow struct {
	top, phones row
	floods      []flood
}

// flood is one of them.
type flood struct {
	asked, offered      float64       // datagrams/s
	before, most, after int64         // bytes that were resident
	back                time.Duration // from its end until memory was
}

// benchFlood has phones refresh amid many times as many requests of strangers.
func (b *benchmark) benchFlood() error {
	// The strangers must not hold up the phones: the kernel shares out the core.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	r := &floodRow{top: row{name: "sipregd, memory, top rate"}, phones: row{name: "sipregd, memory, in a flood"}}
	for range b.rounds {
		if err := b.floodRound(r); err != nil {
			return fmt.Errorf("%s: %w", r.phones.name, err)
		}
	}
	b.printFlood(os.Stdout, r)
	return nil
}

// floodRound measures the top rate, and then what a daemon makes of a flood that has not
// worked for it.
func (b *benchmark) floodRound(r *floodRow) error {
	c := configuration{peers: peersOfSipregd(b.phones), store: "memory", level: "warn"}
	var perSecond float64
	err := b.withSipregd(c, "", func(s *server) error {
		m, err := measure(b.ctx, b.options, s, overUDP(), phase{inFlight: b.inFlight})
		if err != nil {
			return err
		}
		perSecond = m.perSecond
		return r.top.add(m)
	})
	if err != nil {
		return err
	}
	c.guarded = true
	return b.withSipregd(c, "", func(s *server) error { return b.floodOnce(r, s, tooMuch*perSecond) })
}

// floodOnce has all phones register, so that their addresses are known, and refresh in a
// flood.
func (b *benchmark) floodOnce(r *floodRow, s *server, perSecond float64) error {
	f, err := newFleet(s, s.peers, newHost(), overOffices())
	if err != nil {
		return err
	}
	defer f.close()
	if err := f.run(b.ctx, phase{inFlight: b.inFlight, once: true}).failure(); err != nil {
		return err
	}
	f.again(len(f.phones))
	sleepUntil(b.ctx, time.Now().Add(b.settle))
	one := flood{asked: perSecond}
	if err := one.begins(s); err != nil {
		return err
	}
	m, err := b.refreshAmid(&one, f, s)
	if err == nil {
		err = r.phones.add(m)
	}
	if err == nil {
		err = one.ends(b.ctx, s)
	}
	r.floods = append(r.floods, one)
	fmt.Fprintf(os.Stderr, "%s: %v\n", r.phones.name, one)
	return err
}

// refreshAmid floods the server until the last phone that refreshes meanwhile is done.
func (b *benchmark) refreshAmid(one *flood, f *fleet, s *server) (measurement, error) {
	// They know of a phone what went over the wire.
	others, err := newStrangers(s.address, manyStrangers, s.peers, f.phones[0].wire.realm, f.phones[0].nonce)
	if err != nil {
		return measurement{}, err
	}
	defer others.close()
	ctx, stop := context.WithCancel(b.ctx)
	defer stop()
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- others.flood(ctx, one.asked, b.warmUp+b.flood+2*timerF) }()
	sleepUntil(b.ctx, began.Add(b.warmUp))
	during := *b.options
	during.warmUp, during.span = 0, b.flood
	rate := float64(len(f.phones)) / refreshTime.Seconds()
	m, err := f.measure(b.ctx, &during, s, phase{rate: rate, crowded: true, whole: true})
	lasted := time.Since(began)
	stop()
	if failed := <-ended; err == nil {
		err = failed
	}
	one.offered = float64(others.total()) / lasted.Seconds()
	return m, err
}

// begins takes down what the server has in memory before.
func (one *flood) begins(s *server) error {
	m, err := memoryOf(s.pid)
	one.before = m.resident
	if err != nil {
		return err
	}
	return forgetPeak(s.pid)
}

// ends takes down what the server had in memory at most, and has once it is down again,
// or after as long as that may take.
func (one *flood) ends(ctx context.Context, s *server) error {
	for ended := time.Now(); ; sleepUntil(ctx, time.Now().Add(time.Second)) {
		m, err := memoryOf(s.pid)
		if err != nil {
			return err
		}
		one.most, one.after, one.back = max(one.most, m.peak), m.resident, time.Since(ended)
		if one.isBack() || one.back >= longestReturn || ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

func (one flood) isBack() bool { return one.after < one.before+filled }

func (one flood) growth() int64 { return one.most - one.before }

func (one flood) String() string {
	return fmt.Sprintf("%.0f datagrams/s of %.0f; %s MB before, %s at most, %s %v after", one.offered, one.asked,
		megabytes(one.before), megabytes(one.most), megabytes(one.after), one.back.Round(time.Second))
}

// refreshed is the part of refreshes that a server has confirmed.
func refreshed(m measurement) float64 { return float64(m.completed) / float64(m.begun) }

func (r *floodRow) spread(figure func(flood) float64) spread {
	figures := make([]float64, len(r.floods))
	for i, one := range r.floods {
		figures[i] = figure(one)
	}
	return spreadOf(figures)
}

// achieved are the parts of what was asked that the strangers sent.
func (r *floodRow) achieved() spread {
	return r.spread(func(one flood) float64 { return one.offered / one.asked })
}

func (b *benchmark) printFlood(out io.Writer, r *floodRow) {
	count := func(of func(measurement) float64) string { return r.phones.spread(of).text("%.0f") }
	memory := func(of func(flood) int64) string {
		return r.spread(func(one flood) float64 { return float64(of(one)) / 1e6 }).text("%.0f")
	}
	t := newTable(out, "flood", "top rate/s", "asked for/s", "offered/s", "offered : asked", "core %", "generator %", "refreshes", "refreshed %",
		"sent again", "p50 ms", "p99 ms", "most ms", "MB before", "MB at most", "MB after", "after s")
	t.add("sipregd, memory", r.top.perSecond().text("%.0f"), r.spread(func(one flood) float64 { return one.asked }).text("%.0f"),
		r.spread(func(one flood) float64 { return one.offered }).text("%.0f"), r.achieved().text("%.2f"),
		fmt.Sprintf("%.0f", r.phones.busy().median), fmt.Sprintf("%.0f", r.phones.generator().median),
		count(func(m measurement) float64 { return float64(m.begun) }),
		r.phones.spread(func(m measurement) float64 { return 100 * refreshed(m) }).text("%.2f"),
		count(func(m measurement) float64 { return float64(m.resent) }),
		r.phones.percentile(wholes, 50).text("%.1f"), r.phones.percentile(wholes, 99).text("%.1f"), r.phones.percentile(wholes, 100).text("%.0f"),
		memory(func(one flood) int64 { return one.before }), memory(func(one flood) int64 { return one.most }),
		memory(func(one flood) int64 { return one.after }),
		r.spread(func(one flood) float64 { return one.back.Seconds() }).text("%.0f"))
	t.flush()
	fmt.Fprintf(out, "\nMedian and range of %d runs. %d strangers with an address each send %d datagrams for each registration of the top\n"+
		"rate of just before, for %v and until the last phone is done: a third each are requests without credentials, with\n"+
		"forged ones, and garbage. Meanwhile %d phones behind %d addresses refresh once in %v each, by 401 and 200, and send\n"+
		"again by Timer E and give up by Timer F, after %v. MB is VmRSS: after %v of silence, VmHWM, and once it is up by\n"+
		"less than %.0f MB, at the latest after %v.\n", b.rounds, manyStrangers, tooMuch, b.flood,
		b.phones, offices, refreshTime, timerF, b.settle, filled/1e6, longestReturn)
	b.printFlooded(out, r)
}

// printFlooded says what has to hold and does not.
func (b *benchmark) printFlooded(out io.Writer, r *floodRow) {
	if achieved := r.achieved(); achieved.low < 0.95 {
		fmt.Fprintf(out, "The generator could not keep it up on its core: where %q is below 1, less was asked of the server.\n", "offered : asked")
	}
	if part := r.phones.spread(refreshed); part.low < leastRefreshed {
		fmt.Fprintf(out, "THE PHONES WERE NOT SERVED: %.2f %% of the refreshes were confirmed in one run, fewer than %.0f %%.\n", 100*part.low, 100*leastRefreshed)
	}
	if growth := r.spread(func(one flood) float64 { return float64(one.growth()) }); growth.high >= mostGrowth {
		fmt.Fprintf(out, "THE MEMORY GREW TOO MUCH: by %.0f MB in one run, not less than %.0f.\n", growth.high/1e6, mostGrowth/1e6)
	}
	for _, one := range r.floods {
		if !one.isBack() {
			fmt.Fprintf(out, "THE MEMORY DID NOT COME BACK: %s MB before, and %s MB %v after the flood.\n",
				megabytes(one.before), megabytes(one.after), one.back.Round(time.Second))
		}
	}
}
