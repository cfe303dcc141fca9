package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// requireKamailio skips a test where Kamailio is not installed, or not a module of it.
func requireKamailio(t *testing.T, module, pkg string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/*/kamailio/modules/" + module + ".so")
	path, err := exec.LookPath("kamailio")
	if err != nil {
		path = "/usr/sbin/kamailio" // which is not in everybody's PATH
		_, err = os.Stat(path)
	}
	if err != nil || len(found) == 0 {
		skip(t, "kamailio or its %s is not installed: apt-get install %s", module, pkg)
	}
	return path
}

// startKamailio runs Kamailio with a file of configs/kamailio, in which other addresses
// stand in for those that it has, until the test ends.
func startKamailio(t *testing.T, path, file string, addresses map[string]netip.AddrPort) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "configs", "kamailio", file))
	if err != nil {
		t.Fatal(err)
	}
	conf := string(text)
	for old, address := range addresses {
		if !strings.Contains(conf, old) {
			t.Fatalf("%s is not in %s", old, file)
		}
		conf = strings.ReplaceAll(conf, old, address.String())
	}
	directory := t.TempDir()
	writeFile(t, filepath.Join(directory, file), conf)
	var printed output
	command := exec.Command(path, "-f", filepath.Join(directory, file), "-DD", "-E", "-n", "1", "-m", "32", "-M", "4", "-Y", directory, "-w", directory)
	command.Stdout, command.Stderr = &printed, &printed
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it has children
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(patience, func() { _ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) })
		defer kill.Stop()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("Kamailio printed:\n%s", printed.String())
		}
	})
	waitForSIP(t, addresses["127.0.0.1:5070"])
}

// waitForSIP waits until somebody answers there.
func waitForSIP(t *testing.T, address netip.AddrPort) {
	t.Helper()
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(address))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		_, _ = fmt.Fprintf(conn, "REGISTER sip:%v SIP/2.0\r\nVia: SIP/2.0/UDP %v;branch=z9hG4bK-%d\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n"+
			"Call-ID: %[3]d\r\nCSeq: 1 REGISTER\r\nMax-Forwards: 1\r\nContent-Length: 0\r\n\r\n", address, conn.LocalAddr(), time.Now().UnixNano())
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 2048)); err == nil {
			return
		}
	}
	t.Fatalf("nobody answers at %v", address)
}

// startCallee runs a phone that answers one call, and returns where it is. wait waits until
// that call has ended.
func startCallee(t *testing.T) (address netip.AddrPort, wait func()) {
	t.Helper()
	address = netip.AddrPortFrom(loopback, uint16(freePort(t)))
	scenario, err := filepath.Abs(filepath.Join("..", "..", "testdata", "sipp", "answered.xml"))
	if err != nil {
		t.Fatal(err)
	}
	var screen output
	command := exec.CommandContext(t.Context(), "sipp", "-sf", scenario, "-i", address.Addr().String(), "-p", fmt.Sprint(address.Port()), "-m", "1",
		"-nostdin", "-timeout", "20", "-timeout_error")
	command.Dir = t.TempDir()
	command.Stdout, command.Stderr = &screen, &screen
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return address, func() {
		t.Helper()
		if err := command.Wait(); err != nil {
			t.Errorf("the phone that is called: %v\n%s", err, screen.String())
		}
	}
}

// What the README says of Kamailio: it asks the redirect server, follows the 302, and the
// call comes to the phone and ends there.
func TestKamailioFollowsTheRedirect(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	kamailio := requireKamailio(t, "uac_redirect", "kamailio")
	t.Parallel()
	d := startDaemon(t, "[calls]\nredirect = yes\npermit = 127.0.0.1\n[log]\nlevel = debug\n", officePeers)
	proxy := netip.AddrPortFrom(loopback, uint16(freePort(t)))
	startKamailio(t, kamailio, "redirect.cfg", map[string]netip.AddrPort{"127.0.0.1:5070": proxy, "127.0.0.1:5060": d.udp})
	sipp(t, "call-480", "u1", proxy, "-s", "2002")
	sipp(t, "call-404", "u1", proxy, "-s", "2999")
	callee, wait := startCallee(t)
	bindPhone(t, d, "frontdesk", "open sesame", "2002", fmt.Sprintf("sip:2002@%v", callee))
	sipp(t, "call", "u1", proxy, "-s", "2002")
	wait()
	d.waitLog(t, `"event":"redirected"`)
	d.waitLog(t, `"reason":"not_registered"`)
	d.waitLog(t, `"reason":"no_such_aor"`)
}

func TestKamailioLooksUpByHTTP(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	kamailio := requireKamailio(t, "http_client", "kamailio-utils-modules")
	t.Parallel()
	api := netip.AddrPortFrom(loopback, uint16(freePort(t)))
	d := startDaemon(t, fmt.Sprintf("[admin]\nsocket = sipregd.sock\nhttp = %v\n", api), officePeers)
	proxy := netip.AddrPortFrom(loopback, uint16(freePort(t)))
	startKamailio(t, kamailio, "lookup.cfg", map[string]netip.AddrPort{"127.0.0.1:5070": proxy, "127.0.0.1:8060": api})
	sipp(t, "call-480", "u1", proxy, "-s", "2002")
	callee, wait := startCallee(t)
	bindPhone(t, d, "frontdesk", "open sesame", "2002", fmt.Sprintf("sip:2002@%v", callee))
	sipp(t, "call", "u1", proxy, "-s", "2002")
	wait()
}
