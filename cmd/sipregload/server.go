package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is what is measured.
type server struct {
	address netip.AddrPort
	pid     int
	names   func(number int) names
	command *exec.Cmd
	output  bytes.Buffer
}

// patience is how long a server may take to answer first, and to stop.
const patience = 10 * time.Second

// start runs a program as a server on the server's core and waits for its
// first answer.
func start(address netip.AddrPort, names func(int) names, program string, arguments ...string) (*server, error) {
	s := &server{address: address, names: names, command: exec.Command(program, arguments...)}
	s.command.Stdout, s.command.Stderr = &s.output, &s.output
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := startOnCore(s.command, serverCore); err != nil {
		return nil, err
	}
	s.pid = s.command.Process.Pid
	if err := s.waitForAnswer(); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w\n%s", program, err, s.output.String())
	}
	return s, nil
}

func (s *server) waitForAnswer() error {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(s.address))
	if err != nil {
		return err
	}
	defer conn.Close()
	buffer := make([]byte, maxSize)
	probe := phone{names: s.names(0), number: 1 << 30, local: conn.LocalAddr().String()}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		_, _ = conn.Write(probe.begin(time.Now()))
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Read(buffer); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("no answer")
}

// stop ends the process that start has started.
func (s *server) stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(patience, func() { _ = s.command.Process.Kill() })
	defer kill.Stop()
	_ = s.command.Wait()
}

// processorTime returns what the server and its children have used so far.
func (s *server) processorTime() time.Duration {
	var ticks int64
	for _, pid := range append(childrenOf(s.pid), s.pid) {
		fields := statOf(pid)
		if len(fields) > 14 {
			user, _ := strconv.ParseInt(fields[11], 10, 64)
			system, _ := strconv.ParseInt(fields[12], 10, 64)
			ticks += user + system
		}
	}
	const perSecond = 100 // USER_HZ, which is the same on every Linux
	return time.Duration(ticks) * time.Second / perSecond
}

// resident returns the bytes that the server and its children keep in memory.
// What Kamailio's processes share is counted once.
func (s *server) resident() int64 {
	var most int64
	for _, pid := range append(childrenOf(s.pid), s.pid) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			pages, _ := strconv.ParseInt(fields[1], 10, 64)
			most = max(most, pages*int64(os.Getpagesize()))
		}
	}
	return most
}

// statOf returns the fields of /proc/PID/stat from the state on.
func statOf(pid int) []string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

func childrenOf(parent int) []int {
	var children []int
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, entry := range entries {
		pid, _ := strconv.Atoi(filepath.Base(entry))
		if fields := statOf(pid); len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			children = append(children, pid)
		}
	}
	return children
}
