package main

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// natLab is a network of one test's own: a home with phones, a router that
// masquerades, and the public side where the registrar is. Each is a namespace, and
// outside of them nothing is changed.
type natLab struct {
	home, router, public string // names of namespaces
}

// Where they are. The router has two sides.
var (
	homeAddress      = netip.MustParseAddr("10.77.0.2")
	routerAddress    = netip.MustParseAddr("192.0.2.1")
	registrarAddress = netip.MustParseAddr("192.0.2.10")
)

// mappingSeconds is how long the router keeps a mapping that nothing passes. It gives
// each one a random port, so that one that was lost does not come back by itself.
const mappingSeconds = 3

const masquerade = `table ip nat {
	chain out {
		type nat hook postrouting priority srcnat
		oifname "wan" masquerade fully-random
	}
}
`

// newNATLab makes the namespaces for the time of the test.
func newNATLab(t *testing.T) *natLab {
	t.Helper()
	requireProgram(t, "ip", "iproute2")
	requireProgram(t, "nft", "nftables")
	name := fmt.Sprintf("sipregd-%d-%s-", os.Getpid(), strings.NewReplacer("/", "-", "#", "-").Replace(t.Name()))
	l := &natLab{home: name + "home", router: name + "router", public: name + "public"}
	for _, namespace := range []string{l.home, l.router, l.public} {
		addNamespace(t, namespace)
	}
	l.wire(t)
	l.masquerade(t)
	return l
}

// addNamespace makes one, or skips the test where that is not allowed: in CI too,
// since no package would help.
func addNamespace(t *testing.T, name string) {
	t.Helper()
	if text, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		says := fmt.Sprintf("SKIPPED: %s: no network namespace can be made here, run this as root: %v: %s", t.Name(), err, bytes.TrimSpace(text))
		fmt.Fprintln(os.Stderr, says)
		t.Skip(says)
	}
	t.Cleanup(func() {
		if text, err := exec.Command("ip", "netns", "delete", name).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, text)
		}
	})
}

// wire joins the namespaces by two cables, each made inside of them.
func (l *natLab) wire(t *testing.T) {
	t.Helper()
	feed(t, fmt.Sprintf(`link add lan type veth peer name eth0 netns %s
link add wan type veth peer name eth0 netns %s
address add 10.77.0.1/24 dev lan
address add %v/24 dev wan
link set lo up
link set lan up
link set wan up
`, l.home, l.public, routerAddress), "ip", "-n", l.router, "-batch", "-")
	feed(t, fmt.Sprintf(`address add %v/24 dev eth0
link set lo up
link set eth0 up
route add default via 10.77.0.1
`, homeAddress), "ip", "-n", l.home, "-batch", "-")
	feed(t, fmt.Sprintf(`address add %v/24 dev eth0
link set lo up
link set eth0 up
`, registrarAddress), "ip", "-n", l.public, "-batch", "-")
}

// masquerade has the router forward, with its own address as the source, and forget
// soon.
func (l *natLab) masquerade(t *testing.T) {
	t.Helper()
	seconds := fmt.Sprint(mappingSeconds)
	within(t, l.router, func() {
		command := exec.Command("nft", "-f", "-")
		command.Stdin = strings.NewReader(masquerade)
		if text, err := command.CombinedOutput(); err != nil {
			skip(t, "no NAT can be made here: %v: %s", err, text)
		}
		for path, value := range map[string]string{
			"/proc/sys/net/ipv4/ip_forward":                           "1",
			"/proc/sys/net/netfilter/nf_conntrack_udp_timeout":        seconds,
			"/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream": seconds,
		} {
			if err := os.WriteFile(path, []byte(value), 0); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// forget takes the router's line away for a moment, as a provider does at night: all
// mappings are gone. That takes the kernel a while.
func (l *natLab) forget(t *testing.T) {
	t.Helper()
	feed(t, "link set wan down\n", "ip", "-n", l.router, "-batch", "-")
	for deadline := time.Now().Add(patience); l.mappings(t) != "0"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the router still has %s mappings", l.mappings(t))
		}
	}
	feed(t, "link set wan up\n", "ip", "-n", l.router, "-batch", "-")
}

// mappings counts those of the router.
func (l *natLab) mappings(t *testing.T) (count string) {
	t.Helper()
	within(t, l.router, func() {
		text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
		if err != nil {
			t.Fatal(err)
		}
		count = strings.TrimSpace(string(text))
	})
	return count
}

// feed runs a command with that input.
func feed(t *testing.T, input string, command ...string) {
	t.Helper()
	fed := exec.Command(command[0], command[1:]...)
	fed.Stdin = strings.NewReader(input)
	if text, err := fed.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, text)
	}
}

// within does something in a namespace: the sockets that it opens and the processes
// that it starts stay there. That holds for this goroutine alone.
func within(t *testing.T, namespace string, do func()) {
	t.Helper()
	there := openNamespace(t, "/run/netns/"+namespace)
	defer there.Close()
	runtime.LockOSThread()
	here := openNamespace(t, "/proc/thread-self/ns/net")
	defer here.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Error(err) // and the thread ends with this goroutine
			return
		}
		runtime.UnlockOSThread()
	}()
	do()
}

func openNamespace(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// startDaemon runs sipregd on the public side.
func (l *natLab) startDaemon(t *testing.T, sipregdConf, peersConf string) (d *daemon) {
	t.Helper()
	buildDaemon(t) // with the network of this machine
	within(t, l.public, func() {
		d = prepareDaemonAt(t, registrarAddress, sipregdConf, peersConf)
		d.run(t)
	})
	return d
}

// knock sends a datagram to an address, as if the registrar did. It passes the router
// as long as that knows the way.
func (l *natLab) knock(t *testing.T, registrar, target netip.AddrPort, text string) {
	t.Helper()
	within(t, l.public, func() {
		conn, err := net.ListenIP("ip4:udp", &net.IPAddr{IP: registrar.Addr().AsSlice()})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.WriteToIP(udpDatagram(registrar.Port(), target.Port(), text), &net.IPAddr{IP: target.Addr().AsSlice()}); err != nil {
			t.Fatal(err)
		}
	})
}

// udpDatagram is one without a checksum (RFC 768).
func udpDatagram(source, target uint16, text string) []byte {
	length := 8 + len(text)
	head := []byte{byte(source >> 8), byte(source), byte(target >> 8), byte(target), byte(length >> 8), byte(length), 0, 0}
	return append(head, text...)
}
