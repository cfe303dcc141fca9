package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"syscall"
	"time"
)

const (
	patience        = 10 * time.Second // for a server's first answer
	patiencePerPeer = 50 * time.Microsecond
	grace           = 20 * time.Second     // between SIGTERM and SIGKILL
	probing         = 5 * time.Millisecond // between two requests to a server that does not answer yet
)

// server is what is measured.
type server struct {
	address   netip.AddrPort
	pid       int // 0: not known, so neither its processor time nor its memory is
	peers     []names
	began     time.Time     // when it was started
	ready     time.Duration // from then to its first answer
	command   *exec.Cmd
	directory string    // of its configuration, if it was given one
	nodes     []*server // that phones are spread over, itself the first; nil: it is alone
	store     *redis    // that those share; nil: there is none
	output    transcript
	ended     chan struct{} // closed then
}

// starter starts programs as servers.
type starter struct {
	ctx         context.Context
	pinned      bool
	cores       cores
	environment []string // nil: that of this process
}

// start runs a program and waits for its first answer.
func (st *starter) start(address netip.AddrPort, peers []names, program string, arguments ...string) (*server, error) {
	s := &server{address: address, peers: peers, command: exec.Command(program, arguments...), ended: make(chan struct{})}
	s.command.Stdout, s.command.Stderr = &s.output, &s.output
	// A group of its own, so that SIGKILL reaches what it has forked.
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	s.command.Env = st.environment
	s.began = time.Now()
	if err := st.launch(s.command); err != nil {
		return nil, err
	}
	s.pid = s.command.Process.Pid
	go func() {
		_ = s.command.Wait()
		close(s.ended)
	}()
	if err := s.waitForAnswer(st.ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w\n%s", program, err, s.output.String())
	}
	return s, nil
}

func (st *starter) launch(command *exec.Cmd) error {
	if st.pinned {
		return st.cores.start(command)
	}
	return command.Start()
}

func (s *server) waitForAnswer(ctx context.Context) error {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(s.address))
	if err != nil {
		return err
	}
	defer conn.Close()
	buffer := make([]byte, maxSize)
	probe := phone{names: s.peers[0], number: int32(len(s.peers)),
		wire: &wire{transport: "UDP", local: conn.LocalAddr().String(), host: newHost()}}
	wait := s.longestWait()
	for deadline := time.Now().Add(wait); time.Now().Before(deadline); {
		probe.begin(time.Now(), time.Now())
		_, _ = conn.Write(probe.request())
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Read(buffer); err == nil {
			s.ready = time.Since(s.began)
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.ended:
			return errors.New("it ended at once")
		case <-time.After(probing):
		}
	}
	return fmt.Errorf("no answer in %v", wait)
}

// longestWait is how long a server may take to read its peers.
func (s *server) longestWait() time.Duration {
	return patience + time.Duration(len(s.peers))*patiencePerPeer
}

// stop ends what start has started, and waits for it.
func (s *server) stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(grace):
		_ = syscall.Kill(-s.pid, syscall.SIGKILL)
		<-s.ended
	}
}

// addresses are those that phones register at.
func (s *server) addresses() []netip.AddrPort {
	if s.nodes == nil {
		return []netip.AddrPort{s.address}
	}
	addresses := make([]netip.AddrPort, len(s.nodes))
	for i, node := range s.nodes {
		addresses[i] = node.address
	}
	return addresses
}

// processes are all that serve phones, the store that nodes share aside.
func (s *server) processes() (all family) {
	if s.pid != 0 {
		all = familyOf(s.pid)
	}
	for _, node := range s.nodes[min(1, len(s.nodes)):] {
		all = append(all, familyOf(node.pid)...)
	}
	return all
}
