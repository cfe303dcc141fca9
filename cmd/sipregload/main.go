// Command sipregload measures a SIP registrar: authenticated registrations per
// second over UDP, and what each costs the server's processor. An authenticated
// registration is REGISTER, 401, REGISTER with credentials, 200.
//
// It shares no code with sipregd, so that it can judge it.
package main

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sipregload:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	bench    bool
	echo     string
	target   string
	pid      int
	sipregd  string
	kamailio string
	phones   int
	inFlight int
	rounds   int
	warmUp   time.Duration
	span     time.Duration
}

func run(arguments []string) error {
	var o options
	flags := flag.NewFlagSet("sipregload", flag.ExitOnError)
	flags.BoolVar(&o.bench, "bench", false, "start each server in turn and print a table")
	flags.StringVar(&o.echo, "echo", "", "serve the floor: answer datagrams on `ADDRESS` and compute nothing")
	flags.StringVar(&o.target, "target", "", "load the registrar at `ADDRESS` of 127.0.0.0/8, whose peers are those of -bench")
	flags.IntVar(&o.pid, "pid", 0, "of the server at -target, to measure its processor time")
	flags.StringVar(&o.sipregd, "sipregd", "bin/sipregd", "the daemon to measure")
	flags.StringVar(&o.kamailio, "kamailio", "testdata/bench/kamailio.cfg", "the configuration for Kamailio")
	flags.IntVar(&o.phones, "phones", 1000, "how many addresses register")
	flags.IntVar(&o.inFlight, "inflight", 64, "how many of them at once")
	flags.IntVar(&o.rounds, "rounds", 3, "how often each server is measured")
	flags.DurationVar(&o.warmUp, "warmup", time.Second, "load before the measurement")
	flags.DurationVar(&o.span, "span", 5*time.Second, "length of a measurement")
	_ = flags.Parse(arguments) // it exits on an error
	if o.inFlight < flows || o.phones < o.inFlight || o.rounds < 1 {
		return fmt.Errorf("-inflight has to be %d to -phones, and -rounds at least 1", flows)
	}
	switch {
	case o.echo != "":
		return serveEcho(o.echo)
	case o.bench:
		return bench(&o)
	case o.target != "":
		return loadTarget(&o)
	}
	flags.Usage()
	return fmt.Errorf("say -bench or -target")
}

// loadTarget loads a server that somebody else has started.
func loadTarget(o *options) error {
	target, err := loopback(o.target)
	if err != nil {
		return err
	}
	server := &server{address: target, pid: o.pid, names: namesOfSipregd}
	m, err := measure(o, server)
	if err != nil {
		return err
	}
	fmt.Println(m)
	return nil
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
