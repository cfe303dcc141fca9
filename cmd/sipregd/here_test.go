package main

import (
	"fmt"
	"strings"
	"testing"
)

// What the daemon listens at is known to who judges a Contact, at all addresses too.
func TestAContactThatNamesTheDaemonIsRefused(t *testing.T) {
	d := startDaemon(t, "", torturePeers)
	for _, test := range []struct {
		contact string
		want    int
	}{
		{fmt.Sprintf("sip:anna@%v", d.udp), 403},
		{fmt.Sprintf("sip:anna@%v;transport=tcp", d.tcp), 403},
		{fmt.Sprintf("sip:anna@%v;transport=ws", d.udp), 200},
		{fmt.Sprintf("sip:anna@127.0.0.9:%d", d.udp.Port()), 200},
		{"sip:anna@127.0.0.1:9", 200}, // from the same machine
	} {
		conn, port := dialDaemon(t, d)
		message := []byte(strings.ReplaceAll("REGISTER sip:r SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:"+port+";branch=z9hG4bK1\nFrom: <sip:anna@r>;tag=1\n"+
			"To: <sip:anna@r>\nCall-ID: "+port+"\nCSeq: 1 REGISTER\nContact: <"+test.contact+">\nContent-Length: 0\n\n", "\n", "\r\n"))
		send(t, conn, withCredentials(t, message, exchange(t, conn, message)))
		if answer := receive(t, conn); !strings.HasPrefix(answer, fmt.Sprint("SIP/2.0 ", test.want, " ")) {
			t.Errorf("%s: want %d: %q", test.contact, test.want, answer)
		}
	}
}
