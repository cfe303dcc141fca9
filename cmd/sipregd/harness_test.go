package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sipregd/internal/race"
)

// patience is how long a test waits for what has to happen.
const patience = 15 * time.Second

// daemon is a sipregd that a test runs, built from this tree.
type daemon struct {
	udp, tcp    netip.AddrPort
	tls, ws     netip.AddrPort // of a daemon that listens there too
	wss         netip.AddrPort
	directory   string
	environment []string   // beside that of the tests
	under       []string   // what runs instead of the binary; as a rule nothing
	passed      []*os.File // that are passed on to it
	log         io.Writer  // where the log goes; nil: to output
	command     *exec.Cmd
	output      output
}

// output collects what a process prints while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(data)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

var binary struct {
	once sync.Once
	path string
	err  error
}

func TestMain(m *testing.M) {
	if calls := os.Getenv(allowedCalls); calls != "" {
		runFiltered(calls)
	}
	status := m.Run()
	if binary.path != "" {
		os.RemoveAll(filepath.Dir(binary.path))
	}
	os.Exit(status)
}

// buildDaemon builds the binary once for all tests, with the race detector
// where the tests have it.
func buildDaemon(t testing.TB) string {
	t.Helper()
	binary.once.Do(func() {
		directory, err := os.MkdirTemp("", "sipregd-test-")
		if err != nil {
			binary.err = err
			return
		}
		binary.path = filepath.Join(directory, "sipregd")
		arguments := []string{"build", "-o", binary.path}
		if race.Enabled() {
			arguments = append(arguments, "-race")
		}
		text, err := exec.Command("go", append(arguments, ".")...).CombinedOutput()
		if err != nil {
			binary.err = fmt.Errorf("%w\n%s", err, text)
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

// startDaemon runs sipregd on free ports of 127.0.0.1 until the test ends.
// sipregdConf is the configuration without its [listen] section.
func startDaemon(t testing.TB, sipregdConf, peersConf string) *daemon {
	t.Helper()
	d := prepareDaemon(t, sipregdConf, peersConf)
	d.run(t)
	return d
}

// prepareDaemon writes the files of a daemon that is still to be run.
func prepareDaemon(t testing.TB, sipregdConf, peersConf string) *daemon {
	t.Helper()
	return prepareDaemonAt(t, loopback, sipregdConf, peersConf)
}

// loopback is where daemons and phones are as a rule.
var loopback = netip.MustParseAddr("127.0.0.1")

func prepareDaemonAt(t testing.TB, host netip.Addr, sipregdConf, peersConf string) *daemon {
	t.Helper()
	address := netip.AddrPortFrom(host, uint16(freePortAt(t, host)))
	d := &daemon{udp: address, tcp: address, directory: t.TempDir()}
	listen := fmt.Sprintf("[listen]\nudp = %v\ntcp = %v\n", d.udp, d.tcp)
	if !strings.Contains(sipregdConf, "[location]") {
		sipregdConf += "\n[location]\npath = state\n"
	}
	if !strings.Contains(sipregdConf, "[admin]") {
		sipregdConf += "\n[admin]\nsocket = sipregd.sock\n"
	}
	writeFile(t, filepath.Join(d.directory, "sipregd.conf"), listen+sipregdConf)
	d.writePeers(t, peersConf)
	return d
}

func (d *daemon) run(t testing.TB) {
	t.Helper()
	line := append(slices.Clone(d.under), "--config", filepath.Join(d.directory, "sipregd.conf"))
	if len(d.under) == 0 {
		line = append([]string{buildDaemon(t)}, line...)
	}
	d.command = exec.Command(line[0], line[1:]...)
	d.command.Env = append(append(os.Environ(), "GORACE=atexit_sleep_ms=0"), d.environment...) // else each one sleeps a second at its end
	d.command.ExtraFiles = d.passed
	d.command.Stdout, d.command.Stderr = &d.output, &d.output
	if d.log != nil {
		d.command.Stdout = d.log
	}
	if err := d.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.stop(t) })
	d.waitLog(t, "started")
}

// restart ends the daemon and runs another one with the same files and
// addresses.
func (d *daemon) restart(t testing.TB) *daemon {
	t.Helper()
	d.stop(t)
	again := d.next()
	again.run(t)
	return again
}

// handOver runs another daemon with the same files and addresses, then ends this one.
func (d *daemon) handOver(t testing.TB) *daemon {
	t.Helper()
	again := d.next()
	again.run(t)
	d.stop(t)
	return again
}

// next returns a daemon with the same files and addresses, which is to be run.
func (d *daemon) next() *daemon {
	return &daemon{
		udp: d.udp, tcp: d.tcp, tls: d.tls, wss: d.wss, directory: d.directory,
		environment: d.environment, under: d.under, passed: d.passed,
	}
}

// stop ends the daemon by SIGTERM, which has to be enough.
func (d *daemon) stop(t testing.TB) {
	t.Helper()
	if d.command.ProcessState != nil {
		return
	}
	_ = d.command.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(patience, func() { _ = d.command.Process.Kill() })
	defer kill.Stop()
	if err := d.command.Wait(); err != nil {
		t.Errorf("sipregd ended with %v", err)
	}
	if strings.Contains(d.output.String(), "DATA RACE") {
		t.Error("data race in sipregd")
	}
	if t.Failed() {
		t.Logf("sipregd printed:\n%s", d.output.String())
	}
}

func (d *daemon) writePeers(t testing.TB, text string) {
	t.Helper()
	writeFile(t, filepath.Join(d.directory, "peers.conf"), text)
}

// reload sends SIGHUP and waits for a new line with that text.
func (d *daemon) reload(t testing.TB, text string) {
	t.Helper()
	before := strings.Count(d.output.String(), text)
	if err := d.command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	d.wait(t, text, func(log string) bool { return strings.Count(log, text) > before })
}

// waitLog waits until the log holds the text.
func (d *daemon) waitLog(t testing.TB, text string) {
	t.Helper()
	d.wait(t, text, func(log string) bool { return strings.Contains(log, text) })
}

func (d *daemon) wait(t testing.TB, what string, seen func(log string) bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !seen(d.output.String()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %q in the log of sipregd:\n%s", what, d.output.String())
		}
	}
}

// freePort returns a port of 127.0.0.1 that is free for UDP and TCP.
func freePort(t testing.TB) int {
	t.Helper()
	return freePortAt(t, loopback)
}

func freePortAt(t testing.TB, host netip.Addr) int {
	t.Helper()
	for range 100 {
		listener, err := net.Listen("tcp", netip.AddrPortFrom(host, 0).String())
		if err != nil {
			t.Fatal(err)
		}
		port := listener.Addr().(*net.TCPAddr).Port
		conn, err := net.ListenPacket("udp", netip.AddrPortFrom(host, uint16(port)).String())
		listener.Close()
		if err == nil {
			conn.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
