package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
)

// row is a server in the table.
type row struct {
	name  string
	start func(address netip.AddrPort, directory string) (*server, error)
	runs  []measurement
}

// benchmark is what the rows are started and measured with.
type benchmark struct {
	*options
	starter
}

const kamailio = "/usr/sbin/kamailio"

// bench measures all servers in turns and prints the table.
func bench(ctx context.Context, o *options) error {
	b := &benchmark{options: o, starter: starter{ctx: ctx}}
	rows := []*row{
		{name: "UDP echo (the floor)", start: b.startEcho},
		{name: "sipregd, memory", start: b.startSipregd},
	}
	if _, err := os.Stat(kamailio); err == nil {
		rows = append(rows, &row{name: "Kamailio, stateless", start: b.startKamailio})
	} else {
		fmt.Println("Kamailio is not installed, so it is not measured (apt-get install kamailio).")
	}
	placed := b.place()
	for range o.rounds {
		for _, r := range rows {
			if err := b.runOnce(r); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	printTable(os.Stdout, rows, placed)
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
	m, err := measure(b.ctx, b.options, s)
	s.stop()
	if err == nil {
		err = m.failure()
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, s.output.String())
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

func (b *benchmark) startSipregd(address netip.AddrPort, directory string) (*server, error) {
	peers := peersOfSipregd(b.phones)
	file, err := os.OpenFile(filepath.Join(directory, "peers.conf"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := writePeers(file, peers); err != nil {
		return nil, err
	}
	conf := fmt.Sprintf("[listen]\nudp = %v\ntcp =\n[peers]\nfile = peers.conf\n[location]\nstore = memory\n"+
		"[admin]\nsocket =\n[log]\nlevel = warn\n", address)
	path := filepath.Join(directory, "sipregd.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	return b.starter.start(address, peers, b.sipregd, "--config", path)
}

// startKamailio runs it with one worker and neither a database nor TCP.
func (b *benchmark) startKamailio(address netip.AddrPort, directory string) (*server, error) {
	return b.starter.start(address, peersOfKamailio(b.phones), kamailio, "-f", b.kamailio, "-l", "udp:"+address.String(),
		"-DD", "-E", "-n", "1", "-m", "256", "-Y", directory, "-P", filepath.Join(directory, "pid"))
}
