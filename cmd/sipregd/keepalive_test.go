package main

import (
	"fmt"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// A phone that uses outbound (RFC 5626) is told by Flow-Timer how often it has to say
// that it is there. baresip does so by STUN over UDP (§8) and by line ends over TCP
// (§3.5.1), and sends another one only where the one before was answered to its liking.
func TestBaresipKeepsItsWayOpen(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	for transport, kind := range map[string]string{"udp": "stun", "tcp": "crlf"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			d, metrics := startWithFlowTimer(t)
			b := startOutboundBaresip(t, d, transport)
			b.wait(t, registered)
			for deadline := time.Now().Add(patience); countKeepalives(t, metrics, kind) < 3; time.Sleep(50 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("baresip has sent %d and no more:\n%s", countKeepalives(t, metrics, kind), b.output.String())
				}
			}
			b.stop(t)
			checkSilent(t, d, b)
		})
	}
}

// A phone that has sent keepalives and does so no more has gone, and its binding with
// it, long before the kernel notices.
func TestASilentConnectionOfBaresipEnds(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	t.Parallel()
	d, metrics := startWithFlowTimer(t)
	b := startOutboundBaresip(t, d, "tcp")
	b.wait(t, registered)
	for deadline := time.Now().Add(patience); countKeepalives(t, metrics, "crlf") < 2 && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	if err := b.command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.command.Process.Signal(syscall.SIGCONT) }()
	d.waitLog(t, `"reason":"stream_gone"`)
}

func startWithFlowTimer(t *testing.T) (d *daemon, metrics string) {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	d = startDaemon(t, "[registrar]\nflow_timer = 1\ndisconnect_grace = 0\n[admin]\nhttp = "+address+"\n", phonePeers)
	return d, "http://" + address + "/metrics"
}

func startOutboundBaresip(t *testing.T, d *daemon, transport string) *baresip {
	t.Helper()
	address := d.udp
	if transport == "tcp" {
		address = d.tcp
	}
	outbound := fmt.Sprintf(`;sipnat=outbound;outbound="sip:%v;transport=%s"`, address, transport)
	return startBaresipWith(t, address, transport, "b41d77", "correct-horse", outbound, "module uuid.so")
}

func countKeepalives(t *testing.T, metrics, kind string) int {
	t.Helper()
	found := regexp.MustCompile(`sipregd_keepalives_total\{kind="` + kind + `"\} (\d+)`).FindStringSubmatch(get(t, metrics))
	if found == nil {
		return 0
	}
	count, _ := strconv.Atoi(found[1])
	return count
}
