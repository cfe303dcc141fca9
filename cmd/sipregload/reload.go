package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	reloads      = 3                      // amid the load
	reloadPause  = 300 * time.Millisecond // between two of them
	reloadRate   = 2000                   // registrations/s
	reloadPhones = 20_000
)

// peersRun is one start of a daemon with many peers.
type peersRun struct {
	ready     time.Duration // from exec to the first answer
	one, many memory        // with one peer, and with all
	idle      time.Duration // of a reload when there is nothing else to do
	loaded    []time.Duration
	before    result // registrations while no reload runs
	during    result // registrations while reloads run
}

// benchPeers measures how long many peers take to start and to reload, what
// they take in memory, and what a reload is to the phones.
func (b *benchmark) benchPeers() error {
	var runs []peersRun
	for range b.rounds {
		run, err := b.peersRound()
		if err != nil {
			return fmt.Errorf("sipregd, %d peers: %w", b.sections, err)
		}
		runs = append(runs, run)
		fmt.Fprintf(os.Stderr, "%d peers: ready after %v, %s MB, reloaded in %v and, amid registrations, %v\n", b.sections,
			run.ready.Round(ms), megabytes(run.many.resident), run.idle.Round(ms), run.loaded)
	}
	b.printPeers(os.Stdout, runs)
	return nil
}

func (b *benchmark) peersRound() (run peersRun, err error) {
	c := configuration{peers: scattered(1), store: "memory", level: "info"}
	err = b.withSipregd(c, "", func(s *server) (err error) {
		run.one, err = b.settled(s)
		return err
	})
	if err != nil {
		return run, err
	}
	c.peers = scattered(b.sections)
	err = b.withSipregd(c, "", func(s *server) (err error) {
		run.ready = s.ready
		if run.many, err = b.settled(s); err != nil {
			return err
		}
		return b.reloadPeers(s, &run)
	})
	return run, err
}

// settled waits and returns what memory is left then.
func (b *benchmark) settled(s *server) (memory, error) {
	sleepUntil(b.ctx, time.Now().Add(b.settle))
	return memoryOf(s.pid)
}

// reloadPeers reloads a daemon that has nothing else to do, and then one that
// has.
func (b *benchmark) reloadPeers(s *server, run *peersRun) (err error) {
	if run.idle, err = b.reload(s); err != nil {
		return err
	}
	f, err := b.bound(s, min(reloadPhones, len(s.peers)))
	if err != nil {
		return err
	}
	defer f.close()
	run.before = f.runWhile(b.ctx, func(ctx context.Context) { sleepUntil(ctx, time.Now().Add(b.span)) })
	run.during = f.runWhile(b.ctx, func(ctx context.Context) { run.loaded, err = b.reloadAgain(ctx, s) })
	switch {
	case err != nil:
		return err
	case run.before.failure() != nil:
		return run.before.failure()
	}
	return run.during.failure()
}

// runWhile has phones register at a moderate rate until something is done.
func (f *fleet) runWhile(ctx context.Context, do func(context.Context)) result {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		do(ctx)
		cancel()
	}()
	const longest = time.Hour
	now := time.Now()
	r := f.run(ctx, phase{rate: reloadRate, measured: span{now, now.Add(longest)}})
	cancel() // where the load has failed
	<-done
	return r
}

func (b *benchmark) reloadAgain(ctx context.Context, s *server) (times []time.Duration, err error) {
	for range reloads {
		sleepUntil(ctx, time.Now().Add(reloadPause))
		took, err := b.reload(s)
		if err != nil {
			return times, err
		}
		times = append(times, took)
	}
	sleepUntil(ctx, time.Now().Add(reloadPause))
	return times, nil
}

// reload adds a peer and returns how long the daemon takes from SIGHUP to
// saying that it knows it.
func (b *benchmark) reload(s *server) (time.Duration, error) {
	if err := addPeer(filepath.Join(s.directory, "peers.conf")); err != nil {
		return 0, err
	}
	place, began := s.output.len(), time.Now()
	if err := s.command.Process.Signal(syscall.SIGHUP); err != nil {
		return 0, err
	}
	err := s.output.await(b.ctx, place, `"event":"reloaded"`, `"event":"reload_failed"`, s.longestWait())
	return time.Since(began), err
}

// addPeer writes another peer at the end, whose names nobody has yet.
func addPeer(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	name := newHost()
	return writePeers(file, []names{{label: name, authname: name, secret: name, aor: name}})
}

// stringsOf returns the bytes of all names that a daemon has to keep.
func stringsOf(peers []names) (bytes int64) {
	for _, n := range peers {
		bytes += int64(len(n.label) + len(n.authname) + len(n.aor))
	}
	return bytes
}

func (b *benchmark) printPeers(out io.Writer, runs []peersRun) {
	figures := func(format string, of func(peersRun) float64) string {
		all := make([]float64, len(runs))
		for i, run := range runs {
			all[i] = of(run)
		}
		return spreadOf(all).text(format)
	}
	longest := func(times []time.Duration) float64 { return millis(percentile(times, 100)) }
	text := stringsOf(scattered(b.sections))
	t := newTable(out, fmt.Sprintf("sipregd, %d peers", b.sections), "median and range")
	t.add("exec to first answer, s", figures("%.2f", func(run peersRun) float64 { return run.ready.Seconds() }))
	t.add("SIGHUP to \"reloaded\", s", figures("%.2f", func(run peersRun) float64 { return run.idle.Seconds() }))
	t.add("the same amid registrations, the longest, s", figures("%.2f", func(run peersRun) float64 { return run.longestReload().Seconds() }))
	t.add("MB with one peer", figures("%.0f", func(run peersRun) float64 { return float64(run.one.resident) / 1e6 }))
	t.add("MB with all", figures("%.0f", func(run peersRun) float64 { return float64(run.many.resident) / 1e6 }))
	t.add("bytes per peer beside its strings", figures("%.0f", func(run peersRun) float64 {
		return float64(run.many.resident-run.one.resident-text) / float64(b.sections)
	}))
	for _, when := range []struct {
		name string
		of   func(peersRun) result
	}{
		{"no reload", func(run peersRun) result { return run.before }},
		{"reloads", func(run peersRun) result { return run.during }},
	} {
		t.add(when.name+": REGISTER to 401, most ms", figures("%.1f", func(run peersRun) float64 { return longest(when.of(run).challenges) }))
		t.add(when.name+": REGISTER to 200, most ms", figures("%.1f", func(run peersRun) float64 { return longest(when.of(run).proofs) }))
		t.add(when.name+": both, since due, most ms", figures("%.1f", func(run peersRun) float64 { return longest(when.of(run).latencies) }))
		t.add(when.name+": begun late, most ms", figures("%.1f", func(run peersRun) float64 { return longest(when.of(run).late) }))
	}
	t.flush()
	fmt.Fprintf(out, "\nMedian and range of %d runs. VmRSS, %v after the start. The strings: labels, authnames and aornames, %d bytes in\n"+
		"all. Amid registrations: %d/s in an open loop, and %d reloads, each with one more peer.\n",
		len(runs), b.settle, text, reloadRate, reloads)
}

func (run peersRun) longestReload() (longest time.Duration) {
	for _, took := range run.loaded {
		longest = max(longest, took)
	}
	return longest
}
