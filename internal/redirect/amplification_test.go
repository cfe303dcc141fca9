package redirect_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// Whatever a stranger sends over UDP, and however often Timer G could fire: what goes to the
// address that it names has at most three times its bytes.
func TestNoAnswerToAStrangersCallIsOverThreeTimesItsRequest(t *testing.T) {
	for name, permit := range map[string][]string{"nobody is permitted": nil, "its address is": {"192.0.2.0/24"}} {
		t.Run(name, func(t *testing.T) { flood(t, permit...) })
	}
}

func flood(t *testing.T, permit ...string) {
	l := newLab(t, labPeers, nil, permit...)
	l.bindCaller()
	many := make([]location.Binding, 10)
	for i := range many {
		many[i] = location.Binding{Contact: "sip:2002@a-long-name-of-a-host.example.com;transport=tcp", Path: "<sip:a-proxy.example.com;lr>"}
	}
	l.bind(sipuri.AOR{User: "2002"}, "workshop", many...)
	paths, err := filepath.Glob("../../testdata/torture/*.sip")
	if err != nil || len(paths) < 100 {
		t.Fatalf("%d torture messages: %v", len(paths), err)
	}
	messages := [][]byte{
		[]byte("INVITE sip:2002@r SIP/2.0\nv:SIP/2.0/UDP h\nf:sip:a\nt:sip:a\ni:1\nCSeq:1 INVITE\n\n"),
		[]byte(l.kitchen().request("sip:2002@r")),
		[]byte(l.kitchen().request("sip:2002@r", `Authorization: Digest username="7f3a9c", realm="sipregd", nonce="n", uri="sip:2002@r", response="0"`)),
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, data, bytes.ReplaceAll(data, []byte("REGISTER"), []byte("INVITE")))
	}
	answered := 0
	for _, message := range messages {
		sent := 0
		for range 3 {
			l.now = l.now.Add(time.Second)
			answer := l.send(string(message))
			if sent += len(answer); len(answer) > 0 {
				answered++
			}
		}
		if sent > 3*3*len(message) {
			t.Errorf("3 times %d bytes are answered with %d: %q", len(message), sent, message)
		}
	}
	for range 400 {
		l.now = l.now.Add(100 * time.Millisecond)
		l.finals.Step(l.now)
	}
	if l.repeats > 0 || answered < 300 {
		t.Errorf("%d answers, and %d more by Timer G", answered, l.repeats)
	}
}

// Who may not be there is told the Contacts that come first.
func TestAPermittedCallIsToldWhatFits(t *testing.T) {
	for _, test := range []struct {
		name, transport string
		long            int // of each Contact
		status          string
		want            int
	}{
		{"all", "UDP", 20, "302 Moved Temporarily", 10},
		{"some", "UDP", 100, "302 Moved Temporarily", 5},
		{"none", "UDP", 2000, "480 Temporarily Unavailable", 0},
		{"all, as it is there", "TCP", 2000, "302 Moved Temporarily", 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, labPeers, nil, "192.0.2.0/24")
			l.flow.Transport = test.transport
			many := make([]location.Binding, 10)
			for i := range many {
				many[i].Contact = fmt.Sprintf("sip:%d@h;x=%s", i, strings.Repeat("x", test.long))
			}
			l.bind(sipuri.AOR{User: "2001"}, "7f3a9c", many...)
			request := l.kitchen().request("sip:2001@r", "User-Agent: "+strings.Repeat("A", 200))
			answer := l.send(request)
			if got := contacts(answer); status(answer) != test.status || len(got) != test.want || len(got) > 0 && !strings.HasPrefix(got[0], "<sip:9@") {
				t.Errorf("got %s with %d Contacts: %s", status(answer), len(got), answer)
			}
			for range 400 { // it is answered again where the INVITE comes again, and just there
				l.now = l.now.Add(100 * time.Millisecond)
				l.finals.Step(l.now)
			}
			if l.repeats > 0 {
				t.Errorf("sent %d times more", l.repeats)
			}
			if again := l.send(request); status(again) != test.status {
				t.Errorf("again %s", status(again))
			}
		})
	}
}

// A peer may have a nonce, and write another's address into its call.
func TestANonceFromElsewhere(t *testing.T) {
	l := newLab(t, labPeers, nil)
	l.bindCaller()
	c := l.kitchen()
	c.between = func() { l.flow.Source = netip.MustParseAddrPort("198.51.100.99:5060") }
	answer := c.call("sip:2001@r")
	for range 400 {
		l.now = l.now.Add(100 * time.Millisecond)
		l.finals.Step(l.now)
	}
	if status(answer) != "401 Unauthorized" || !strings.Contains(answer, "stale=true") || l.repeats > 0 {
		t.Errorf("sent %d times more: %s", l.repeats, answer)
	}
	c.between = nil // it comes from there, and is asked there
	if got := status(c.call("sip:2001@r")); got != "302 Moved Temporarily" {
		t.Errorf("got %s", got)
	}
}
