package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// phoneAddress is the host:port that phones with imported bindings believe they
// have. Nothing is sent there.
const phoneAddress = "127.10.20.30:50600"

const importedName = "imported"

func overNAT() link {
	return link{transport: "UDP", wires: ports, lanes: ports, believed: phoneAddress}
}

// startRow is one start of the daemon, and what it takes in memory.
type startRow struct {
	name    string
	ready   time.Duration // from exec to the first answer
	started time.Duration // from exec to the log line that says so
	reading time.Duration // of bindings, as the log has it
	read    int           // bindings, likewise
	first   memory        // when it was ready
	loaded  memory        // after the load
	live    int64         // bytes that the last garbage collection left
}

// startBench starts one daemon again and again.
type startBench struct {
	*benchmark
	configuration
	host string // of the Call-IDs
}

// benchStart measures how long a start takes and what bindings take in memory.
func (b *benchmark) benchStart() (err error) {
	if b.disk, err = diskDirectory(); err != nil {
		return err
	}
	directory, err := os.MkdirTemp(b.disk, "sipregload-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	sb := &startBench{benchmark: b, host: newHost()}
	sb.environment = append(os.Environ(), "GODEBUG=gctrace=1")
	sb.configuration = configuration{directory: directory, peers: shared(scattered(b.bindings), b.sharing), store: "file", level: "info"}
	if sb.address, err = freeAddress(); err != nil {
		return err
	}
	if err := sb.write(); err != nil {
		return err
	}
	return sb.run()
}

func (sb *startBench) run() error {
	none, err := sb.start("no bindings", 0, sb.queryNone)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := sb.fill(); err != nil {
		return err
	}
	took := time.Since(began)
	size, err := sizeOf(sb.storePath())
	if err != nil {
		return err
	}
	imported, err := sb.start(importedName, sb.bindings, sb.refresh)
	if err != nil {
		return err
	}
	again, err := sb.start("refreshed, stopped, started again", sb.bindings, sb.query)
	if err != nil {
		return err
	}
	sb.printStarts(os.Stdout, none, imported, again)
	fmt.Printf("The import took %.1f s, and left %.0f MB on the disk.\n", took.Seconds(), float64(size)/1e6)
	return nil
}

// start runs the daemon once, with some load, on a store with so many bindings.
func (sb *startBench) start(name string, bindings int, load func(*server) error) (*startRow, error) {
	r := &startRow{name: name}
	var s *server
	err := sb.onSipregd(&sb.configuration, func(running *server) (err error) {
		s = running
		r.ready = s.ready
		if r.first, err = memoryOf(s.pid); err != nil {
			return err
		}
		if err := load(s); err != nil {
			return err
		}
		r.loaded, err = memoryOf(s.pid)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sipregd, %s: %w", name, err)
	}
	r.readLog(s)
	if r.read != bindings {
		return nil, fmt.Errorf("sipregd, %s: %d bindings were read, want %d", name, r.read, bindings)
	}
	fmt.Fprintf(os.Stderr, "%s: ready after %v, %.0f MB, after the load %.0f MB\n", name,
		r.ready.Round(time.Millisecond), float64(r.first.resident)/1e6, float64(r.loaded.resident)/1e6)
	return r, nil
}

// queryNone asks for bindings that are not there, which is as much work for all
// of the daemon but the store as refreshing them.
func (sb *startBench) queryNone(s *server) error {
	fl, err := newFleet(s, s.peers[:sb.refreshes], sb.host, overNAT())
	if err != nil {
		return err
	}
	defer fl.close()
	return fl.run(sb.ctx, phase{inFlight: sb.pending, once: true, query: true}).failure()
}

// query asks whether bindings are there.
func (sb *startBench) query(s *server) error {
	fl, err := sb.importedFleet(s)
	if err != nil {
		return err
	}
	defer fl.close()
	return fl.run(sb.ctx, phase{inFlight: sb.pending, once: true, query: true}).failure()
}

func (sb *startBench) refresh(s *server) error {
	fl, err := sb.importedFleet(s)
	if err != nil {
		return err
	}
	defer fl.close()
	return fl.run(sb.ctx, phase{inFlight: sb.pending, once: true}).failure()
}

func (sb *startBench) importedFleet(s *server) (*fleet, error) {
	fl, err := newFleet(s, s.peers[:sb.refreshes], sb.host, overNAT())
	if err == nil {
		fl.imported()
	}
	return fl, err
}

// readLog takes from the log of a daemon that has ended when it was started,
// how long it read bindings, and what its garbage collections left.
func (r *startRow) readLog(s *server) {
	lines := bufio.NewScanner(bytes.NewReader(s.output.Bytes()))
	for lines.Scan() {
		if live, ok := afterCollection(lines.Text()); ok {
			r.live = live
			continue
		}
		var line struct {
			Time           time.Time
			Event, Message string
			Bindings       int
			Took           float64 `json:"took_ms"`
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue
		}
		switch {
		case line.Event == "loaded":
			r.read, r.reading = line.Bindings, time.Duration(line.Took*float64(time.Millisecond))
		case line.Message == "started":
			r.started = line.Time.Sub(s.began)
		}
	}
}

// afterCollection reads from a line of gctrace how many bytes were left: it
// holds "before->after->left MB".
func afterCollection(line string) (bytes int64, ok bool) {
	head, _, ok := strings.Cut(line, " MB,")
	if !ok || !strings.HasPrefix(line, "gc ") {
		return 0, false
	}
	megabytes, err := strconv.ParseInt(head[strings.LastIndexByte(head, '>')+1:], 10, 64)
	return megabytes << 20, err == nil
}

// printStarts writes a line for each figure and a column for each start.
func (sb *startBench) printStarts(out io.Writer, none *startRow, others ...*startRow) {
	starts := append([]*startRow{none}, others...)
	columns := []string{"sipregd, file"}
	for _, r := range starts {
		columns = append(columns, r.name)
	}
	t := newTable(out, columns...)
	for _, line := range sb.startLines(none) {
		cells := []string{line.name}
		for _, r := range starts {
			cells = append(cells, line.figure(r))
		}
		t.add(cells...)
	}
	t.flush()
	fmt.Fprintf(out, "\n%d peers and %d bindings. What is \"for bindings\" or \"per binding\" is what is more than with the same\n"+
		"peers and no bindings. The load: %d registrations, which query or, in the column %q, refresh. The live heap is\n"+
		"what the last garbage collection left: VmRSS swings by what has gathered since.\n",
		(sb.bindings+sb.sharing-1)/sb.sharing, sb.bindings, sb.refreshes, importedName)
}

// startLine is a figure of a start.
type startLine struct {
	name   string
	figure func(*startRow) string
}

// startLines are all figures, compared with a start without bindings.
func (sb *startBench) startLines(none *startRow) []startLine {
	return []startLine{
		{"exec to first answer, s", func(r *startRow) string { return seconds(r.ready) }},
		{"exec to the log line \"started\", s", func(r *startRow) string { return seconds(r.started) }},
		{"to first answer for bindings, s", func(r *startRow) string { return seconds(r.ready - none.ready) }},
		{"reading bindings, by the log, s", func(r *startRow) string { return seconds(r.reading) }},
		{"VmRSS when ready, MB", func(r *startRow) string { return megabytes(r.first.resident) }},
		{"per binding, B", func(r *startRow) string { return sb.each(r.first.resident - none.first.resident) }},
		{"in all by bindings, B", func(r *startRow) string { return sb.each(r.first.resident) }},
		{"VmRSS after the load, MB", func(r *startRow) string { return megabytes(r.loaded.resident) }},
		{"per binding, B", func(r *startRow) string { return sb.each(r.loaded.resident - none.loaded.resident) }},
		{"in all by bindings, B", func(r *startRow) string { return sb.each(r.loaded.resident) }},
		{"VmHWM, MB", func(r *startRow) string { return megabytes(r.loaded.peak) }},
		{"live heap, MB", func(r *startRow) string { return megabytes(r.live) }},
		{"per binding, B", func(r *startRow) string { return sb.each(r.live - none.live) }},
	}
}

func (sb *startBench) each(bytes int64) string {
	return fmt.Sprintf("%.0f", float64(bytes)/float64(sb.bindings))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

func megabytes(bytes int64) string { return fmt.Sprintf("%.0f", float64(bytes)/1e6) }
