package main

import (
	"testing"
	"time"
)

// A phone that rebooted counts anew with its old Call-ID. By the letter of RFC 3261
// §10.3 step 7 it waits until its binding expires; with cseq_reset = yes, until no
// retransmission of its last request can be under way.
func TestAPhoneThatCountsAnew(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "", phonePeers+"cseq_reset = yes\n[Other]\nauthname = other\nsecret = o\naorname = 2002\n")
	lenient := newClient("udp", d.udp.String(), "b41d77", "correct-horse", "2001")
	strict := newClient("udp", d.udp.String(), "other", "o", "2002")
	for _, c := range []*client{lenient, strict} {
		c.cseq = 100
		c.mustAnswer(t, 200, "Contact: <sip:phone@127.0.0.1>")
		c.cseq = 0
		c.mustAnswer(t, 500, "Contact: <sip:phone@127.0.0.1>")
	}
	time.Sleep(33 * time.Second)
	for _, c := range []*client{lenient, strict} {
		c.cseq = 0
		c.nonce = "" // a rebooted phone has none
	}
	lenient.mustAnswer(t, 200, "Contact: <sip:phone@127.0.0.1>")
	strict.mustAnswer(t, 500, "Contact: <sip:phone@127.0.0.1>")
}
