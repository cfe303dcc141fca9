package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startLoggingTo runs a daemon whose log goes to a pipe, and returns the other
// end of that with the daemon.
func startLoggingTo(t *testing.T) (*daemon, *os.File) {
	t.Helper()
	d := prepareDaemon(t, "[log]\nlevel = debug\nformat = json\n", phonePeers)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	d.command = exec.Command(buildDaemon(t), "--config", filepath.Join(d.directory, "sipregd.conf"))
	d.command.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	d.command.Stdout = writer
	if err := d.command.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	t.Cleanup(func() { d.stop(t) })
	lines := bufio.NewScanner(reader)
	for lines.Scan() && !strings.Contains(lines.Text(), `"started"`) {
	}
	return d, reader
}

// ping sends a REGISTER and waits for the challenge, which is logged.
func ping(t *testing.T, d *daemon) {
	t.Helper()
	conn, err := net.Dial("udp", d.udp.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text := "REGISTER sip:r SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKp;rport\r\n" +
		"From: <sip:p@p>;tag=p\r\nTo: <sip:p@p>\r\nCall-ID: p\r\nCSeq: 1 REGISTER\r\n\r\n"
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 2048)); err != nil {
		t.Fatalf("no answer: %v", err)
	}
}

// Whoever reads the log goes away: phones register on.
func TestTheReaderOfTheLogGoesAway(t *testing.T) {
	t.Parallel()
	d, reader := startLoggingTo(t)
	reader.Close()
	for range 10 {
		ping(t, d)
	}
}

// Whoever reads the log stands still: phones register on, and SIGTERM is enough.
func TestTheReaderOfTheLogStandsStill(t *testing.T) {
	t.Parallel()
	d, reader := startLoggingTo(t)
	const pipeSize = 4096
	if _, _, err := syscall.Syscall(syscall.SYS_FCNTL, reader.Fd(), syscall.F_SETPIPE_SZ, pipeSize); err != 0 {
		t.Fatal(err)
	}
	for range 100 {
		ping(t, d)
	}
	began := time.Now()
	d.stop(t)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v to stop", took)
	}
}
