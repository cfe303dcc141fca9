package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// baresip is a phone that others wrote. Its account has an Auth ID that is not
// its User ID, and neither is the peer's label. It knows MD5 only.
type baresip struct {
	command *exec.Cmd
	output  output
}

// startBaresip runs the phone with one account until the test ends. It
// registers at once and refreshes after a good part of a minute. Its ports are those
// that the kernel picks: beside one that it is told it takes the next, for TLS. settings
// are further lines of its configuration.
func startBaresip(t *testing.T, registrar netip.AddrPort, transport, authname, secret string, settings ...string) *baresip {
	t.Helper()
	return startBaresipAt(t, registrar.Addr(), registrar, transport, authname, secret, "", settings...)
}

// startBaresipAt runs the phone at an address of its own, with more parameters of the
// account.
func startBaresipAt(t *testing.T, host netip.Addr, registrar netip.AddrPort, transport, authname, secret, parameters string, settings ...string) *baresip {
	t.Helper()
	return runBaresip(t, host, fmt.Sprintf("<sip:2001@%v;transport=%s>;auth_user=%s;auth_pass=%s;regint=60%s",
		registrar, transport, authname, secret, parameters), settings...)
}

// runBaresip runs the phone with an account as its file has it.
func runBaresip(t *testing.T, host netip.Addr, account string, settings ...string) *baresip {
	t.Helper()
	directory, family := t.TempDir(), "-4"
	if host.Is6() {
		family = "-6"
	}
	writeFile(t, filepath.Join(directory, "config"), fmt.Sprintf(`sip_listen %v
net_interface %v
module_path /usr/lib/baresip/modules
module_tmp account.so
module_app menu.so
%s
`, netip.AddrPortFrom(host, 0), host, strings.Join(settings, "\n")))
	writeFile(t, filepath.Join(directory, "accounts"), account+"\n")
	b := &baresip{command: exec.Command("baresip", family, "-s", "-f", directory)}
	b.command.Stdout, b.command.Stderr = &b.output, &b.output
	if err := b.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.stop(t) })
	return b
}

// stop asks the phone to end, which unregisters it first.
func (b *baresip) stop(t *testing.T) {
	t.Helper()
	if b.command.ProcessState != nil {
		return
	}
	_ = b.command.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(patience, func() { _ = b.command.Process.Kill() })
	defer kill.Stop()
	_ = b.command.Wait()
	if t.Failed() {
		t.Logf("baresip printed:\n%s", b.output.String())
	}
}

// What baresip prints for its user: of success, and of failure. What it traces
// of messages looks different.
const (
	registered    = "200 OK () [1 binding]"
	notRegistered = "reg: sip:2001@"
)

func (b *baresip) wait(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(b.output.String(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("baresip did not print %q:\n%s", text, b.output.String())
		}
	}
}

const phonePeers = "[Workshop]\nauthname = b41d77\nsecret = correct-horse\naorname = 2001\n"

func TestBaresipRegistersAndUnregisters(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, "", phonePeers)
			b := startBaresip(t, d.udp, transport, "b41d77", "correct-horse")
			b.wait(t, registered)
			d.waitLog(t, `"event":"added"`)
			for _, field := range []string{
				`"src_ip":"127.0.0.1"`, `"transport":"` + strings.ToUpper(transport) + `"`,
				`"label":"Workshop"`, `"authname":"b41d77"`, `"aor":"2001"`,
			} {
				if !strings.Contains(d.output.String(), field) {
					t.Errorf("the log lacks %s", field)
				}
			}
			b.stop(t)
			d.waitLog(t, `"event":"removed"`)
			checkSilent(t, d, b)
		})
	}
}

// checkSilent sees to it that the daemon refused nothing but stale nonces, and
// that the phone reported no failure.
func checkSilent(t *testing.T, d *daemon, b *baresip) {
	t.Helper()
	log := d.output.String()
	if strings.Count(log, `"event":"refused"`) != strings.Count(log, `"reason":"stale_nonce"`) {
		t.Errorf("sipregd refused more than stale nonces:\n%s", log)
	}
	if strings.Contains(b.output.String(), notRegistered) {
		t.Errorf("baresip reported a failure:\n%s", b.output.String())
	}
}

// baresip tries each new nonce before it gives up.
func TestBaresipWithAWrongSecretIsRefused(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, "", phonePeers)
			b := startBaresip(t, d.udp, transport, "b41d77", "wrong")
			checkNotRegistered(t, d, b, "wrong_secret")
		})
	}
}

func TestBaresipWithItsUserIDAsAuthIDIsRefused(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	t.Parallel()
	d := startDaemon(t, "", phonePeers)
	b := startBaresip(t, d.udp, "udp", "2001", "correct-horse")
	checkNotRegistered(t, d, b, "unknown_authname")
}

func TestBaresipWithTheLabelAsAuthIDIsRefused(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	t.Parallel()
	d := startDaemon(t, "", phonePeers)
	b := startBaresip(t, d.udp, "tcp", "Workshop", "correct-horse")
	checkNotRegistered(t, d, b, "unknown_authname")
}

func checkNotRegistered(t *testing.T, d *daemon, b *baresip, reason string) {
	t.Helper()
	b.wait(t, fmt.Sprintf("%s%v: 401 Unauthorized", notRegistered, d.udp))
	d.waitLog(t, `"reason":"`+reason+`"`)
	if strings.Contains(d.output.String(), `"event":"added"`) || strings.Contains(b.output.String(), "stale") {
		t.Errorf("a phone without the secret got further than to a challenge:\n%s", b.output.String())
	}
}

// brief has phones refresh after 1.8 seconds.
const brief = "[registrar]\nmaximum_expiration = 2\nminimum_expiration = 1\ndefault_expiration = 2\n[log]\nlevel = debug\n"

func TestBaresipRefreshesAndComesBackAfterARestartOfTheDaemon(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, brief, phonePeers)
			b := startBaresip(t, d.udp, transport, "b41d77", "correct-horse")
			b.wait(t, registered)
			d.waitLog(t, `"event":"refreshed"`)
			again := d.restart(t)
			again.waitLog(t, `"event":"loaded","bindings":1,`)
			again.waitLog(t, `"event":"refreshed"`)
			b.stop(t)
			again.waitLog(t, `"event":"removed"`)
			checkSilent(t, d, b)
			checkSilent(t, again, b)
		})
	}
}

// The daemon is restarted between its challenge and what the phone answers to
// it: stale=true, and the phone tries again in silence.
func TestBaresipOvercomesAStaleNonceInSilence(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	t.Parallel()
	d := startDaemon(t, "[log]\nlevel = debug\n", phonePeers)
	answered, restarted := make(chan bool), make(chan bool)
	first := true
	relay := relayDatagrams(t, d.udp, func(datagram string) {
		if first && strings.Contains(datagram, "Authorization: ") {
			first = false
			close(answered)
			<-restarted
		}
	})
	b := startBaresip(t, relay, "udp", "b41d77", "correct-horse")
	select {
	case <-answered:
	case <-time.After(patience):
		close(restarted)
		t.Fatalf("baresip did not answer the challenge:\n%s", b.output.String())
	}
	again := func() *daemon {
		defer close(restarted)
		return d.restart(t)
	}()
	again.waitLog(t, `"reason":"stale_nonce"`)
	again.waitLog(t, `"event":"added"`)
	b.wait(t, "stale=true")
	b.wait(t, registered)
	b.stop(t)
	again.waitLog(t, `"event":"removed"`)
	checkSilent(t, again, b)
}

// relayDatagrams returns an address that passes a phone's datagrams on to
// target, once seen has returned, and the responses back.
func relayDatagrams(t *testing.T, target netip.AddrPort, seen func(datagram string)) netip.AddrPort {
	t.Helper()
	front, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(target))
	if err != nil {
		t.Fatal(err)
	}
	var phone atomic.Pointer[netip.AddrPort]
	var done sync.WaitGroup
	done.Go(func() {
		forward(front, func(datagram []byte, source netip.AddrPort) {
			phone.Store(&source)
			seen(string(datagram))
			_, _ = back.Write(datagram)
		})
	})
	done.Go(func() {
		forward(back, func(datagram []byte, _ netip.AddrPort) {
			_, _ = front.WriteToUDPAddrPort(datagram, *phone.Load())
		})
	})
	t.Cleanup(func() {
		front.Close()
		back.Close()
		done.Wait()
	})
	return front.LocalAddr().(*net.UDPAddr).AddrPort()
}

// forward passes on what comes until the socket is closed. That the daemon is
// away for a moment (ICMP) does not matter.
func forward(conn *net.UDPConn, pass func(datagram []byte, source netip.AddrPort)) {
	buffer := make([]byte, 65536)
	for {
		n, source, err := conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			pass(buffer[:n], source)
		}
	}
}
