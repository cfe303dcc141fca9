package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// idleRun is what silent streams took in one run.
type idleRun struct{ without, with memory }

// benchStreams measures what streams take on which a phone has registered and
// then says nothing.
func (b *benchmark) benchStreams() error {
	allowed, err := allowStreams(b.streams)
	if err != nil {
		return err
	}
	if allowed < b.streams {
		fmt.Printf("The limit on open files is too low for %d streams, so that %d are measured: raise it with ulimit -n.\n\n", b.streams, allowed)
	}
	var runs []idleRun
	for range b.rounds {
		c := configuration{peers: shared(scattered(allowed), b.sharing), store: "memory", level: "warn", tcp: true}
		err := b.withSipregd(c, "", func(s *server) error {
			run, err := b.idleStreams(s)
			runs = append(runs, run)
			return err
		})
		if err != nil {
			return fmt.Errorf("sipregd, %d streams: %w", allowed, err)
		}
	}
	printIdle(os.Stdout, runs, allowed, b.settle)
	return nil
}

func (b *benchmark) idleStreams(s *server) (run idleRun, err error) {
	if run.without, err = memoryOf(s.pid); err != nil {
		return run, err
	}
	// A few addresses, so that none runs out of ports.
	f, err := newFleet(s, s.peers, newHost(), link{transport: "TCP", wires: len(s.peers), lanes: 1, sources: 8})
	if err != nil {
		return run, err
	}
	defer f.close()
	if err := f.run(b.ctx, phase{inFlight: b.inFlight, once: true}).failure(); err != nil {
		return run, err
	}
	sleepUntil(b.ctx, time.Now().Add(b.settle))
	if err := f.silent(); err != nil {
		return run, err
	}
	run.with, err = memoryOf(s.pid)
	fmt.Fprintf(os.Stderr, "%d idle streams: %s MB, without them %s MB\n", len(s.peers), megabytes(run.with.resident), megabytes(run.without.resident))
	return run, err
}

// silent fails if a stream was closed or something came that nobody waits for.
func (f *fleet) silent() error {
	if err := f.receive(0); err != nil {
		return err
	}
	return f.result.failure()
}

// allowStreams raises the limit on open files of this process and of servers to
// come, and returns how many streams that allows.
func allowStreams(wanted int) (int, error) {
	const others = 200 // files, more than the daemon itself keeps free
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	needed := uint64(wanted + others)
	// Without the right to raise the hard limit it is the end.
	for _, most := range []uint64{max(limit.Max, needed), limit.Max} {
		raised := unix.Rlimit{Cur: max(limit.Cur, min(needed, most)), Max: most}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
			break
		}
	}
	if limit.Cur >= needed {
		return wanted, nil
	}
	if limit.Cur <= 2*others {
		return 0, fmt.Errorf("only %d open files are allowed, too few for streams: raise that with ulimit -n", limit.Cur)
	}
	return int(limit.Cur) - others, nil
}

func printIdle(out io.Writer, runs []idleRun, streams int, settle time.Duration) {
	figures := func(of func(idleRun) float64) spread {
		all := make([]float64, len(runs))
		for i, run := range runs {
			all[i] = of(run)
		}
		return spreadOf(all)
	}
	t := newTable(out, "idle streams", "MB without", "MB with", "bytes per stream")
	t.add(fmt.Sprintf("sipregd, memory, %d", streams),
		figures(func(run idleRun) float64 { return float64(run.without.resident) / 1e6 }).text("%.0f"),
		figures(func(run idleRun) float64 { return float64(run.with.resident) / 1e6 }).text("%.0f"),
		figures(func(run idleRun) float64 {
			return float64(run.with.resident-run.without.resident) / float64(streams)
		}).text("%.0f"))
	t.flush()
	fmt.Fprintf(out, "\nMedian and range of %d runs. VmRSS, %v after the last of as many phones has registered on its stream, their\n"+
		"bindings and transactions included; without: when the daemon was ready.\n", len(runs), settle)
}
