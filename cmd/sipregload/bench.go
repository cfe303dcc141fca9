package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// measurement is what one run against one server gave.
type measurement struct {
	perSecond float64
	cpu       time.Duration // of the server, per registration
	p99       time.Duration
	resident  int64 // bytes
}

func (m measurement) String() string {
	return fmt.Sprintf("%.0f registrations/s, %.1f µs of CPU each, p99 %v, %.0f MB resident",
		m.perSecond, micros(m.cpu), m.p99.Round(10*time.Microsecond), float64(m.resident)/1e6)
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// measure loads a server for the warm-up and the span. The processor time is
// that of the span.
func measure(o *options, s *server) (measurement, error) {
	from := time.Now().Add(o.warmUp)
	before := make(chan time.Duration, 1)
	time.AfterFunc(o.warmUp, func() { before <- s.processorTime() })
	r := load(o, s, from, from.Add(o.span))
	used := s.processorTime() - <-before
	if r.err != nil || r.completed == 0 {
		return measurement{}, fmt.Errorf("%d of %d registrations failed, the first: %w",
			r.failed, r.failed+r.completed, r.err)
	}
	return measurement{
		perSecond: float64(r.completed) / o.span.Seconds(),
		cpu:       used / time.Duration(r.completed),
		p99:       r.latencies[len(r.latencies)*99/100],
		resident:  s.resident(),
	}, nil
}

// row is a server in the table.
type row struct {
	name  string
	start func(address netip.AddrPort, directory string) (*server, error)
	runs  []measurement
}

// bench measures all servers in turns and prints the table.
func bench(o *options) error {
	rows := []*row{
		{name: "UDP echo (the floor)", start: startEcho},
		{name: "sipregd, memory", start: o.startSipregd},
	}
	if _, err := exec.LookPath("kamailio"); err == nil {
		rows = append(rows, &row{name: "Kamailio, stateless", start: o.startKamailio})
	} else {
		fmt.Println("Kamailio is not installed, so it is not measured (apt-get install kamailio).")
	}
	if err := moveToCore(generatorCore); err != nil {
		fmt.Println("The generator has no core of its own, so the figures are worth little:", err)
	}
	for range o.rounds {
		for _, r := range rows {
			if err := o.runOnce(r); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	printTable(os.Stdout, rows)
	return nil
}

func (o *options) runOnce(r *row) error {
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
	defer s.stop()
	m, err := measure(o, s)
	if err != nil {
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

func startEcho(address netip.AddrPort, _ string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(address, namesOfSipregd, self, "-echo", address.String())
}

func (o *options) startSipregd(address netip.AddrPort, directory string) (*server, error) {
	var peers strings.Builder
	for i := range o.phones {
		n := namesOfSipregd(i)
		fmt.Fprintf(&peers, "[label %d]\nauthname = %s\nsecret = %s\naorname = %s\n", i, n.authname, n.secret, n.aor)
	}
	conf := fmt.Sprintf("[listen]\nudp = %v\ntcp =\n[location]\nstore = memory\n[log]\nlevel = warn\n", address)
	path := filepath.Join(directory, "sipregd.conf")
	if err := os.WriteFile(filepath.Join(directory, "peers.conf"), []byte(peers.String()), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	return start(address, namesOfSipregd, o.sipregd, "--config", path)
}

// startKamailio runs it with one worker and neither a database nor TCP.
func (o *options) startKamailio(address netip.AddrPort, directory string) (*server, error) {
	return start(address, namesOfKamailio, "kamailio", "-f", o.kamailio, "-l", "udp:"+address.String(),
		"-DD", "-E", "-n", "1", "-m", "256", "-Y", directory, "-P", filepath.Join(directory, "pid"))
}
