package main

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// A phone that uses outbound (RFC 5626) is told by Flow-Timer how often it has to say
// that it is there. baresip does so by STUN (§8), and sends another one only where the
// one before was answered to its liking. Over TCP baresip 1.0 sends nothing.
func TestBaresipKeepsItsWayOpenBySTUN(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	t.Parallel()
	d, metrics := startWithFlowTimer(t)
	outbound := fmt.Sprintf(`;sipnat=outbound;outbound="sip:%v;transport=udp"`, d.udp)
	b := startBaresipAt(t, loopback, d.udp, "udp", "b41d77", "correct-horse", outbound, "module uuid.so")
	b.wait(t, registered)
	for deadline := time.Now().Add(patience); countKeepalives(t, metrics, "stun") < 3; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("baresip has sent %d and no more:\n%s", countKeepalives(t, metrics, "stun"), b.output.String())
		}
	}
	b.stop(t)
	checkSilent(t, d, b)
}

// A phone that was told so, has sent keepalives on its connection and does so no more
// has gone, and its binding with it, long before the kernel notices. One that never sent
// any stays.
func TestASilentConnectionEnds(t *testing.T) {
	t.Parallel()
	d, metrics := startWithFlowTimer(t)
	const outbound = `;reg-id=1;+sip.instance="<urn:uuid:00000000-0000-1000-8000-%s>"`
	pinging, other := newClient("tcp", d.tcp.String(), "b41d77", "correct-horse", "2001"), newClient("tcp", d.tcp.String(), "b41d77", "correct-horse", "2001")
	other.mustAnswer(t, 200, "Supported: outbound", "Contact: <sip:other@127.0.0.1;transport=tcp>"+fmt.Sprintf(outbound, "00AA00000001"))
	answer := pinging.mustAnswer(t, 200, "Supported: outbound", "Contact: <sip:pinging@127.0.0.1;transport=tcp>"+fmt.Sprintf(outbound, "00AA00000002"))
	if answer.header.Get("Flow-Timer") != "1" || answer.header.Get("Require") != "outbound" {
		t.Errorf("the answer holds %v", answer.header)
	}
	if _, err := pinging.conn.Write([]byte("\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	d.waitLog(t, `"reason":"stream_gone"`)
	if count := countKeepalives(t, metrics, "crlf"); count != 1 {
		t.Errorf("%d keepalives are counted", count)
	}
	other.mustAnswer(t, 200, "Contact: <sip:other@127.0.0.1;transport=tcp>"+fmt.Sprintf(outbound, "00AA00000001"))
}

func startWithFlowTimer(t *testing.T) (d *daemon, metrics string) {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	d = startDaemon(t, "[registrar]\nflow_timer = 1\ndisconnect_grace = 0\n[admin]\nhttp = "+address+"\n", phonePeers)
	return d, "http://" + address + "/metrics"
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
