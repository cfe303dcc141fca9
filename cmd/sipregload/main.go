// Command sipregload measures a SIP registrar: authenticated registrations per
// second over UDP or TCP, and what each costs the server's processor. An authenticated
// registration is REGISTER, 401, REGISTER with credentials, 200.
//
// It shares no code with sipregd, so that it can judge it.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sipregload:", err)
		os.Exit(1)
	}
}

// mostMemory bounds what gathers while there is no collection of garbage.
const mostMemory = 4 << 30 // bytes

// options are what the command line says.
type options struct {
	bench     bool
	rows      string
	list      bool
	echo      string
	target    string
	pid       int
	peers     string
	sipregd   string
	kamailio  string
	phones    int
	inFlight  int
	rate      float64
	aors      int
	pending   int
	bindings  int
	sharing   int
	refreshes int
	streams   int
	sections  int
	flood     time.Duration
	rounds    int
	settle    time.Duration
	warmUp    time.Duration
	span      time.Duration
}

func run(ctx context.Context, arguments []string) error {
	var o options
	flags := flag.NewFlagSet("sipregload", flag.ExitOnError)
	flags.BoolVar(&o.bench, "bench", false, "start each server in turn and print tables")
	flags.StringVar(&o.rows, "rows", defaultRows, "which `ROWS` of -bench to measure, with commas: those, and "+rowLatencyMemory)
	flags.StringVar(&o.target, "target", "", "load the registrar at `ADDRESS` of 127.0.0.0/8, which somebody else has started")
	flags.IntVar(&o.pid, "pid", 0, "`PID` of the server at -target, to measure its processor time and memory")
	flags.StringVar(&o.peers, "peers", "", "`FILE` with the peers of the server at -target; without it they are those of -list")
	flags.BoolVar(&o.list, "list", false, "print a peers.conf for -target")
	flags.StringVar(&o.echo, "echo", "", "serve the floor: answer datagrams on `ADDRESS` and compute nothing")
	flags.StringVar(&o.sipregd, "sipregd", "bin/sipregd", "the daemon to measure")
	flags.StringVar(&o.kamailio, "kamailio", "testdata/bench/kamailio.cfg", "the configuration for Kamailio")
	flags.IntVar(&o.phones, "phones", 1000, "how many addresses register")
	flags.IntVar(&o.inFlight, "inflight", 64, "how many of them at once")
	flags.Float64Var(&o.rate, "rate", 0, "with -target: how many registrations begin per second, whatever becomes of them; 0: as many as -inflight lets")
	flags.IntVar(&o.aors, "aors", 400_000, "how many peers there are in the rows new, refresh and latency")
	flags.IntVar(&o.pending, "pending", 256, "how many of them register at once there, and in the row start")
	flags.IntVar(&o.bindings, "bindings", 1_000_000, "how many bindings, or phones, there are in the rows start, flat and overload")
	flags.IntVar(&o.sharing, "sharing", 20, "how many of them belong to one peer")
	flags.IntVar(&o.refreshes, "refreshes", 200_000, "how many of them are refreshed in the row start")
	flags.IntVar(&o.streams, "streams", 20_000, "how many streams are idle in the row streams")
	flags.IntVar(&o.sections, "sections", 100_000, "how many peers there are in the row peers")
	flags.DurationVar(&o.flood, "flood", 40*time.Second, "length of the flood in the row flood, in which memory fills up for 32 s")
	flags.DurationVar(&o.settle, "settle", 4*time.Second, "how long memory settles in the rows streams, peers and flood")
	flags.IntVar(&o.rounds, "rounds", 3, "how often each row is measured, the row start aside")
	flags.DurationVar(&o.warmUp, "warmup", time.Second, "load before the measurement")
	flags.DurationVar(&o.span, "span", 3*time.Second, "length of a measurement")
	_ = flags.Parse(arguments) // it exits on an error
	if err := o.check(); err != nil {
		return err
	}
	debug.SetMemoryLimit(mostMemory)
	switch {
	case o.echo != "":
		return serveEcho(ctx, o.echo)
	case o.list:
		return writePeers(os.Stdout, peersOfSipregd(o.phones))
	case o.bench:
		return bench(ctx, &o)
	case o.target != "":
		return loadTarget(ctx, &o)
	}
	flags.Usage()
	return fmt.Errorf("say -bench or -target")
}

// check bounds the load in count and time.
func (o *options) check() error {
	const most, mostStreams, mostBindings, longest = 100_000, 45_000, 5_000_000, 10 * time.Minute
	const mostRate = 1_000_000
	for name := range strings.SplitSeq(o.rows, ",") {
		if !slices.Contains(strings.Split(allRows, ","), name) {
			return fmt.Errorf("-rows: %q is none of %s", name, allRows)
		}
	}
	switch {
	case o.inFlight < ports || o.inFlight > o.phones || o.phones > most:
		return fmt.Errorf("-inflight has to be %d to -phones, and -phones at most %d", ports, most)
	case o.pending < ports || o.aors < 4*o.pending || o.refreshes < o.pending || o.bindings < o.refreshes || max(o.aors, o.bindings) > mostBindings:
		return fmt.Errorf("-pending has to be at least %d, -aors four times that, -refreshes as many, -bindings as many as those, and all at most %d",
			ports, mostBindings)
	case o.streams < o.inFlight || o.streams > mostStreams:
		return fmt.Errorf("-streams has to be -inflight to %d", mostStreams)
	case o.sections < o.inFlight || o.sections > mostBindings:
		return fmt.Errorf("-sections has to be -inflight to %d", mostBindings)
	case o.rate < 0 || o.rate > mostRate || o.rate > 0 && o.target == "":
		return fmt.Errorf("-rate has to be 0 to %d, and goes with -target", mostRate)
	case o.settle < 0 || o.settle > longest:
		return fmt.Errorf("-settle may be up to %v", longest)
	case o.flood <= 0 || o.flood > longest:
		return fmt.Errorf("-flood may be up to %v, and has to be longer than nothing", longest)
	case o.sharing < 1 || o.sharing > 100:
		return fmt.Errorf("-sharing has to be 1 to 100")
	case o.rounds < 1 || o.rounds > 100:
		return fmt.Errorf("-rounds has to be 1 to 100")
	case o.warmUp < 0 || o.span <= 0 || o.warmUp > longest || o.span > longest:
		return fmt.Errorf("-warmup and -span may be %v long, and -span has to be longer than nothing", longest)
	}
	return nil
}

// loadTarget loads a server that somebody else has started, from whatever
// cores there are.
func loadTarget(ctx context.Context, o *options) error {
	target, err := loopback(o.target)
	if err != nil {
		return err
	}
	peers, err := o.peersOfTarget()
	if err != nil {
		return err
	}
	load := phase{inFlight: o.inFlight, rate: o.rate}
	if o.rate > 0 {
		load.inFlight = 0
	}
	m, err := measure(ctx, o, &server{address: target, pid: o.pid, peers: peers}, overUDP(), load)
	if err != nil {
		return err
	}
	fmt.Println(m)
	return m.failure()
}

func (o *options) peersOfTarget() ([]names, error) {
	if o.peers == "" {
		return peersOfSipregd(o.phones), nil
	}
	file, err := os.Open(o.peers)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	peers, err := readPeers(file)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", o.peers, err)
	}
	if len(peers) < o.inFlight {
		return nil, fmt.Errorf("%s: %d peers are too few for -inflight %d", o.peers, len(peers), o.inFlight)
	}
	return peers[:min(len(peers), o.phones)], nil
}

// loopback reads an address and refuses those of other machines.
func loopback(text string) (netip.AddrPort, error) {
	address, err := netip.ParseAddrPort(text)
	if err != nil {
		return address, err
	}
	if !address.Addr().Is4() || !address.Addr().IsLoopback() {
		return address, fmt.Errorf("%v is not in 127.0.0.0/8: load goes to this machine only", address.Addr())
	}
	return address, nil
}
