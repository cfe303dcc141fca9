package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// announceFlowTimer makes of a 200 one that baresip takes for an invitation to send
// keepalives, each second (RFC 5626 §4.4).
func announceFlowTimer(response []byte) []byte {
	if !bytes.HasPrefix(response, []byte("SIP/2.0 200 ")) {
		return response
	}
	return bytes.Replace(response, []byte("\r\nContent-Length:"), []byte("\r\nRequire: outbound\r\nFlow-Timer: 1\r\nContent-Length:"), 1)
}

// RFC 5626 §8: baresip sends another request only once the one before was answered to
// its liking.
func TestBaresipKeepsItsWayOpenBySTUN(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	t.Parallel()
	d := startDaemon(t, "", phonePeers)
	var mu sync.Mutex
	transactions := map[string]bool{}
	relay := relayBoth(t, d.udp, func(datagram string) {
		if len(datagram) >= 20 && datagram[0] == 0 {
			mu.Lock()
			defer mu.Unlock()
			transactions[datagram[4:20]] = true
		}
	}, announceFlowTimer)
	b := startBaresipWith(t, relay, "udp", "b41d77", "correct-horse", `;sipnat=outbound;outbound="sip:`+relay.String()+`;transport=udp"`, "module uuid.so")
	b.wait(t, registered)
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		mu.Lock()
		sent := len(transactions)
		mu.Unlock()
		if sent >= 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("baresip has sent %d STUN requests and no more:\n%s", sent, b.output.String())
		}
	}
	b.stop(t)
	checkSilent(t, d, b)
	if strings.Contains(b.output.String(), "keepalive") {
		t.Errorf("baresip complains about keepalives:\n%s", b.output.String())
	}
}
