package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// row is a line of a table and what it is made from.
type row struct {
	name      string
	start     func(address netip.AddrPort, directory string) (*server, error)
	over      link
	inFlight  int
	bothCores bool // the server and the generator share them
	runs      []measurement
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
	rowTCP      = "tcp"
	rowTwoCores = "two-cores"
	rowKamailio = "kamailio"
	rowStateful = "stateful"
	rowNew      = "new"
	rowRefresh  = "refresh"
	rowLatency  = "latency"
	rowStart    = "start"
	rowFlat     = "flat"
	rowSteady   = "steady"
	rowOverload = "overload"
	rowFlood    = "flood"
	rowStreams  = "streams"
	rowPeers    = "peers"
	rowJournal  = "journal"
	rowCalls    = "calls"
	rowRedis    = "redis"
	defaultRows = "echo,memory,tcp,two-cores,kamailio,stateful,calls,journal,flat,steady,overload,flood,streams,peers,new,refresh,latency,start,redis"

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
	b := &benchmark{options: o, starter: starter{ctx: ctx}}
	fmt.Println(machine(b.place()))
	for _, part := range []struct {
		measure func() error
		rows    []string
	}{
		{b.benchServers, []string{rowEcho, rowMemory, rowTCP, rowTwoCores, rowKamailio, rowStateful}},
		{b.benchCalls, []string{rowCalls}},
		{b.benchJournal, []string{rowJournal}},
		{b.benchFlat, []string{rowFlat}},
		{b.benchSteady, []string{rowSteady}},
		{b.benchOverload, []string{rowOverload}},
		{b.benchFlood, []string{rowFlood}},
		{b.benchStreams, []string{rowStreams}},
		{b.benchPeers, []string{rowPeers}},
		{b.benchStores, []string{rowNew, rowRefresh, rowLatency, rowLatencyMemory}},
		{b.benchStart, []string{rowStart}},
		{b.benchNodes, []string{rowRedis}},
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
	rows := b.serverRows()
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

// serverRows are those that are asked for and possible.
func (b *benchmark) serverRows() []*row {
	streams := min(manyStreams, b.phones)
	var rows []*row
	add := func(name string, r *row) {
		if b.wants(name) {
			rows = append(rows, r)
		}
	}
	add(rowEcho, &row{name: floorName, start: b.startEcho, over: overUDP(), inFlight: b.inFlight})
	add(rowMemory, &row{name: memoryName, start: b.startSipregdInMemory, over: overUDP(), inFlight: b.inFlight})
	add(rowTCP, &row{name: streamsName(1), start: b.startSipregdInMemory, over: overTCP(1), inFlight: b.inFlight})
	add(rowTCP, &row{name: streamsName(streams), start: b.startSipregdInMemory, over: overTCP(streams), inFlight: b.inFlight})
	if b.pinned {
		// As many in flight for each core. The kernel deals ports out to the
		// server's sockets: of many, each gets about half.
		add(rowTwoCores, &row{name: bothCoresName, start: b.startSipregdInMemory, over: link{transport: "UDP", wires: 4 * ports, lanes: 4 * ports},
			inFlight: min(2*b.inFlight, b.phones), bothCores: true})
	}
	if _, err := os.Stat(kamailio); err != nil {
		fmt.Println("Kamailio is not installed, so it is not measured (apt-get install kamailio).")
		return rows
	}
	add(rowKamailio, &row{name: kamailioName, start: b.startKamailio, over: overUDP(), inFlight: b.inFlight})
	add(rowStateful, &row{name: statefulName, start: b.startKamailioStateful, over: overUDP(), inFlight: b.inFlight})
	return rows
}

// place gives the server and the generator a core each, and says how it went.
func (b *benchmark) place() string {
	var err error
	if b.cores, err = separateCores(); err == nil {
		err = b.cores.separate()
	}
	if err != nil {
		fmt.Println("The server and the generator share their cores, so the figures are worth little:", err)
		return "server and generator share their cores"
	}
	b.pinned = true
	return fmt.Sprintf("server on core %d, generator on core %d", b.cores.server, b.cores.generator)
}

func (b *benchmark) runOnce(r *row) (err error) {
	if r.bothCores {
		if err := b.cores.unite(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.cores.separate()) }()
	}
	return b.onServer(r, func(s *server) error {
		m, err := measure(b.ctx, b.options, s, r.over, phase{inFlight: r.inFlight})
		if err != nil {
			return err
		}
		return r.add(m)
	})
}

// onServer runs the server of a row for as long as use takes.
func (b *benchmark) onServer(r *row, use func(*server) error) error {
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
	err = use(s)
	s.stop()
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

// freeAddress returns one that nobody listens on, over UDP or TCP.
func freeAddress() (netip.AddrPort, error) {
	const tries = 100
	var err error
	for range tries {
		var listener net.Listener
		if listener, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
			return netip.AddrPort{}, err
		}
		address := listener.Addr().(*net.TCPAddr).AddrPort()
		var conn net.PacketConn
		conn, err = net.ListenPacket("udp4", address.String())
		_ = listener.Close()
		if err == nil {
			return address, conn.Close()
		}
	}
	return netip.AddrPort{}, err
}

func (b *benchmark) startEcho(address netip.AddrPort, _ string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return b.starter.start(address, peersOfSipregd(b.phones), self, "-echo", address.String())
}

func (b *benchmark) startSipregdInMemory(address netip.AddrPort, directory string) (*server, error) {
	c := configuration{directory: directory, address: address, peers: peersOfSipregd(b.phones), store: "memory", level: "warn", tcp: true}
	if err := c.write(); err != nil {
		return nil, err
	}
	return b.startSipregd(&c)
}

// startKamailio runs it with one worker and neither a database nor TCP.
func (b *benchmark) startKamailio(address netip.AddrPort, directory string) (*server, error) {
	return b.runKamailio(address, directory, "-m", "256")
}

// startKamailioStateful gives it the memory for the transactions of a run: the
// timers of each keep it for seconds after its end.
func (b *benchmark) startKamailioStateful(address netip.AddrPort, directory string) (*server, error) {
	return b.runKamailio(address, directory, "-m", "2048", "-A", "STATEFUL")
}

func (b *benchmark) runKamailio(address netip.AddrPort, directory string, more ...string) (*server, error) {
	arguments := []string{"-f", b.kamailio, "-l", "udp:" + address.String(), "-DD", "-E", "-n", "1",
		"-Y", directory, "-P", filepath.Join(directory, "pid")}
	return b.starter.start(address, peersOfKamailio(b.phones), kamailio, append(arguments, more...)...)
}
