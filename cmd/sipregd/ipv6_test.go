package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// requireIPv6 skips a test on a machine that has no IPv6, not even of its own.
func requireIPv6(t *testing.T) netip.Addr {
	t.Helper()
	listener, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		skip(t, "this machine has no IPv6: %v", err)
	}
	listener.Close()
	return netip.IPv6Loopback()
}

// startDaemonOverIPv6 runs sipregd on [::1].
func startDaemonOverIPv6(t *testing.T, peersConf string) *daemon {
	t.Helper()
	d := prepareDaemonAt(t, requireIPv6(t), "[log]\nlevel = debug\n", peersConf)
	d.run(t)
	return d
}

func TestSIPpOverIPv6(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	kitchen := as("2001", "7f3a9c", "any;text#at all")
	tests := []struct {
		story, scenario, peers, reason string
	}{
		{"registers", "register", kitchenPeers, ""},
		{"refreshes, asks and unregisters", "refresh-query-unregister", kitchenPeers, ""},
		{"the same Contact in other words", "same-contact", kitchenPeers, ""},
		{"from a network that is permitted", "register", kitchenPeers + "permit = ::/64\n", ""},
		{"from one that is not", "forbidden", kitchenPeers + "permit = 2001:db8::/32, 127.0.0.0/8\n", "source_not_permitted"},
		{"with a wrong secret", "wrong-secret", strings.Replace(kitchenPeers, "any;text", "other", 1), "wrong_secret"},
	}
	for _, test := range tests {
		for _, transport := range []string{"u1", "t1"} {
			t.Run(test.story+" "+transport, func(t *testing.T) {
				t.Parallel()
				d := startDaemonOverIPv6(t, test.peers)
				sipp(t, test.scenario, transport, d.udp, kitchen...)
				d.stop(t)
				checkRefusals(t, d, test.reason)
				if log := d.output.String(); !strings.Contains(log, `"src_ip":"::1"`) {
					t.Errorf("the source is not in the log:\n%s", log)
				}
			})
		}
	}
}

// Brackets stand around each address that a port follows.
func TestSIPpOverIPv6IsShownInBrackets(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	t.Parallel()
	d := startDaemonOverIPv6(t, kitchenPeers)
	trace := sipp(t, "register", "u1", d.udp, as("2001", "7f3a9c", "any;text#at all")...)
	d.waitLog(t, `"contact":"sip:2001@[::1]:`)
	for _, part := range []string{"Via: SIP/2.0/UDP [::1]:", ";received=::1\n", "Contact: <sip:2001@[::1]:"} {
		if answer := received(trace, 200); !strings.Contains(strings.ReplaceAll(strings.Join(answer, ""), "\r", ""), part) {
			t.Errorf("no %q in %q", part, answer)
		}
	}
	for _, command := range []string{"contacts", "why 2001", "why ::1", "contacts --json"} {
		text := ctl(t, d, strings.Fields(command)...)
		if !strings.Contains(text, " [::1]:") && !strings.Contains(text, `"source":"[::1]:`) || !strings.Contains(text, "sip:2001@[::1]:") {
			t.Errorf("sipregctl %s prints\n%s", command, text)
		}
	}
}

// ctl runs sipregctl on the daemon's socket and returns what it prints.
func ctl(t *testing.T, d *daemon, arguments ...string) string {
	t.Helper()
	arguments = append(arguments, "--socket", filepath.Join(d.directory, "sipregd.sock"))
	text, err := exec.Command(buildControl(t), arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("sipregctl %s: %v\n%s", strings.Join(arguments, " "), err, text)
	}
	return string(text)
}

// The test phone of sipregctl over IPv6, and the API at [::1].
func TestSipregctlAndTheAPIOverIPv6(t *testing.T) {
	t.Parallel()
	host := requireIPv6(t)
	address := netip.AddrPortFrom(host, uint16(freePortAt(t, host)))
	d := prepareDaemonAt(t, host, fmt.Sprintf("[admin]\nsocket = sipregd.sock\nhttp = %v\n", address), kitchenPeers)
	d.run(t)
	for _, transport := range []string{"udp", "tcp"} {
		text := d.register(t, "--aor", "2001", "--authname", "7f3a9c", "--secret", "any;text#at all", "--transport", transport)
		if !strings.Contains(text, "sip:2001@[::1]:") || !strings.Contains(text, "registered: 2001 by 7f3a9c") {
			t.Errorf("over %s:\n%s", transport, text)
		}
	}
	if text := get(t, fmt.Sprintf("http://%v/api/v1/contacts", address)); !strings.Contains(text, `"contact":"sip:2001@[::1]:`) ||
		!strings.Contains(text, `"source":"[::1]:`) {
		t.Error(text)
	}
}

// A daemon that listens on every address serves both, and no IPv4 address is shown as
// one of IPv6.
func TestEveryAddressServesIPv4AndIPv6(t *testing.T) {
	t.Parallel()
	d := prepareDaemonAt(t, requireIPv6(t), "", kitchenPeers)
	path := filepath.Join(d.directory, "sipregd.conf")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, strings.ReplaceAll(string(text), "[::1]:", ":"))
	d.run(t)
	for _, host := range []netip.Addr{loopback, netip.IPv6Loopback()} {
		d.udp = netip.AddrPortFrom(host, d.udp.Port())
		for _, transport := range []string{"udp", "tcp"} {
			d.register(t, "--aor", "2001", "--authname", "7f3a9c", "--secret", "any;text#at all", "--transport", transport)
		}
	}
	d.stop(t)
	for _, part := range []string{`"src_ip":"127.0.0.1"`, `"src_ip":"::1"`} {
		if got := strings.Count(d.output.String(), part); got != 2 {
			t.Errorf("%d lines with %s:\n%s", got, part, d.output.String())
		}
	}
}

func TestBaresipOverIPv6(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			d := startDaemonOverIPv6(t, phonePeers)
			b := startBaresip(t, d.udp, transport, "b41d77", "correct-horse")
			b.wait(t, registered)
			d.waitLog(t, `"event":"added","src_ip":"::1"`)
			b.stop(t)
			d.waitLog(t, `"event":"removed"`)
			checkSilent(t, d, b)
		})
	}
}
