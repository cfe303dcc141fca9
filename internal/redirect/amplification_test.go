package redirect_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// Whatever a stranger sends over UDP, and however often Timer G could fire: what goes to the
// address that it names has at most three times its bytes.
func TestNoAnswerToAStrangersCallIsOverThreeTimesItsRequest(t *testing.T) {
	l := newLab(t, labPeers, nil)
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
