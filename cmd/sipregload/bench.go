package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

// row is a line of a table and what it is made from.
type row struct {
	name  string
	start func(address netip.AddrPort, directory string) (*server, error)
	runs  []measurement
}

// benchmark is what the rows are started and measured with.
type benchmark struct {
	*options
	starter
	disk       string // a directory that is not in memory
	notDurable error  // nil: all that was answered was saved
}

const kamailio = "/usr/sbin/kamailio"

// The rows that -rows names.
const (
	rowEcho     = "echo"
	rowMemory   = "memory"
	rowKamailio = "kamailio"
	rowNew      = "new"
	rowRefresh  = "refresh"
	rowLatency  = "latency"
	rowStart    = "start"
	defaultRows = "echo,memory,kamailio,new,refresh,latency,start"

	// rowLatencyMemory tells what of a latency is not the disk's.
	rowLatencyMemory = "latency-memory"
	allRows          = defaultRows + "," + rowLatencyMemory
)

// wants tells whether one of the rows is asked for.
func (o *options) wants(rows ...string) bool {
	return slices.ContainsFunc(strings.Split(o.rows, ","), func(name string) bool { return slices.Contains(rows, name) })
}

// bench measures what is asked for and prints a table for each part.
func bench(ctx context.Context, o *options) error {
	debug.SetGCPercent(400) // fewer collections amid measurements
	b := &benchmark{options: o, starter: starter{ctx: ctx}}
	fmt.Println(machine(b.place()))
	for _, part := range []struct {
		measure func() error
		rows    []string
	}{
		{b.benchServers, []string{rowEcho, rowMemory, rowKamailio}},
		{b.benchStores, []string{rowNew, rowRefresh, rowLatency, rowLatencyMemory}},
		{b.benchStart, []string{rowStart}},
	} {
		if !o.wants(part.rows...) {
			continue
		}
		fmt.Println()
		if err := part.measure(); err != nil {
			return err
		}
	}
	return b.notDurable
}

// benchServers measures servers that differ in turns.
func (b *benchmark) benchServers() error {
	var rows []*row
	if b.wants(rowEcho) {
		rows = append(rows, &row{name: floorName, start: b.startEcho})
	}
	if b.wants(rowMemory) {
		rows = append(rows, &row{name: "sipregd, memory", start: b.startSipregdInMemory})
	}
	if _, err := os.Stat(kamailio); err != nil {
		fmt.Println("Kamailio is not installed, so it is not measured (apt-get install kamailio).")
	} else if b.wants(rowKamailio) {
		rows = append(rows, &row{name: kamailioName, start: b.startKamailio})
	}
	for range b.rounds {
		for _, r := range rows {
			if err := b.runOnce(r); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	printServers(os.Stdout, rows)
	return nil
}

// place gives the server and the generator a core each, and says how it went.
func (b *benchmark) place() string {
	var err error
	if b.cores, err = separateCores(); err == nil {
		err = moveTo(b.cores.generator)
	}
	if err != nil {
		fmt.Println("The server and the generator share their cores, so the figures are worth little:", err)
		return "server and generator share their cores"
	}
	b.pinned = true
	return fmt.Sprintf("server on core %d, generator on core %d", b.cores.server, b.cores.generator)
}

func (b *benchmark) runOnce(r *row) error {
	directory, err := os.MkdirTemp("", "sipregload-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	address, err := freeAddress()
	if err != nil {
		return err
	}
	s, err := r.start(address, directory)
	if err != nil {
		return err
	}
	m, err := measure(b.ctx, b.options, s, overUDP(), b.inFlight)
	s.stop()
	if err == nil {
		err = r.add(m)
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, s.output.String())
	}
	return nil
}

// add takes in a run in which all went well.
func (r *row) add(m measurement) error {
	if err := m.failure(); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", r.name, m)
	r.runs = append(r.runs, m)
	return nil
}

func freeAddress() (netip.AddrPort, error) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort(), nil
}

func (b *benchmark) startEcho(address netip.AddrPort, _ string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return b.starter.start(address, peersOfSipregd(b.phones), self, "-echo", address.String())
}

func (b *benchmark) startSipregdInMemory(address netip.AddrPort, directory string) (*server, error) {
	c := configuration{directory: directory, address: address, peers: peersOfSipregd(b.phones), store: "memory", level: "warn"}
	if err := c.write(); err != nil {
		return nil, err
	}
	return b.startSipregd(&c)
}

// startKamailio runs it with one worker and neither a database nor TCP.
func (b *benchmark) startKamailio(address netip.AddrPort, directory string) (*server, error) {
	return b.starter.start(address, peersOfKamailio(b.phones), kamailio, "-f", b.kamailio, "-l", "udp:"+address.String(),
		"-DD", "-E", "-n", "1", "-m", "256", "-Y", directory, "-P", filepath.Join(directory, "pid"))
}
