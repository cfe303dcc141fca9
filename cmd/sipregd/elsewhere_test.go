package main

import (
	"encoding/xml"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

// watching is who has subscribed to what an address is bound to.
type watching struct {
	t         *testing.T
	conn      net.Conn
	documents chan string // what each NOTIFY has told, in short
}

// watch subscribes at a daemon, until the test ends.
func watch(t *testing.T, d *daemon, aorname string) *watching {
	t.Helper()
	conn, err := net.Dial("udp", d.udp.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	w := &watching{t: t, conn: conn, documents: make(chan string, 100)}
	text := fmt.Sprintf("SUBSCRIBE sip:%[1]s@test SIP/2.0\r\nVia: SIP/2.0/UDP %[2]v;rport;branch=z9hG4bK-%[2]v\r\n"+
		"From: <sip:watcher@test>;tag=w\r\nTo: <sip:%[1]s@test>\r\nCall-ID: %[2]v\r\nCSeq: 1 SUBSCRIBE\r\nEvent: reg\r\n"+
		"Contact: <sip:watcher@%[2]v>\r\nContent-Length: 0\r\n\r\n", aorname, conn.LocalAddr())
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	go w.answer()
	return w
}

var echoed = regexp.MustCompile(`(?m)^(Via|From|To|Call-ID|CSeq): .*\r\n`)

// answer answers NOTIFYs and takes down what they tell, each once.
func (w *watching) answer() {
	datagram := make([]byte, 65536)
	last := ""
	for {
		n, err := w.conn.Read(datagram)
		if err != nil {
			return
		}
		text := string(datagram[:n])
		if !strings.HasPrefix(text, "NOTIFY ") {
			continue
		}
		head, body, _ := strings.Cut(text, "\r\n\r\n")
		fields := strings.Join(echoed.FindAllString(head+"\r\n", -1), "")
		_, _ = fmt.Fprintf(w.conn, "SIP/2.0 200 OK\r\n%sContent-Length: 0\r\n\r\n", fields)
		if fields != last && body != "" {
			w.documents <- inShort(body)
		}
		last = fields
	}
}

// inShort returns what a document tells.
func inShort(body string) string {
	var d struct {
		Version      int    `xml:"version,attr"`
		State        string `xml:"state,attr"`
		Registration struct {
			State    string `xml:"state,attr"`
			Contacts []struct {
				State string `xml:"state,attr"`
				Event string `xml:"event,attr"`
				URI   string `xml:"uri"`
			} `xml:"contact"`
		} `xml:"registration"`
	}
	if err := xml.Unmarshal([]byte(body), &d); err != nil {
		return err.Error()
	}
	text := fmt.Sprintf("%d %s %s", d.Version, d.State, d.Registration.State)
	for _, c := range d.Registration.Contacts {
		name, _, _ := strings.Cut(strings.TrimPrefix(c.URI, "sip:"), "@")
		text += fmt.Sprintf(", %s %s %s", name, c.State, c.Event)
	}
	return text
}

// expect waits for the next thing that is told.
func (w *watching) expect(want string) {
	w.t.Helper()
	select {
	case got := <-w.documents:
		if got != want {
			w.t.Fatalf("told %q, want %q", got, want)
		}
	case <-time.After(patience):
		w.t.Fatalf("not told %q", want)
	}
}

// expectNothing sees to it that nothing is told for a while.
func (w *watching) expectNothing(long time.Duration) {
	w.t.Helper()
	select {
	case got := <-w.documents:
		w.t.Errorf("told %q", got)
	case <-time.After(long):
	}
}

// Who watches at one node is told what happens at another, once, whatever becomes of Redis
// and of the other node.
func TestAWatcherIsToldOfOtherNodes(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	nodes := startNodes(t, 2, r.url(), "[calls]\nevents = yes\npermit = 127.0.0.1\n[registrar]\nminimum_expiration = 1\n")
	w := watch(t, nodes[0], "2001")
	w.expect("0 full init")
	phones := map[string]*client{}
	register := func(node int, name string, expires int) {
		t.Helper()
		if phones[name] == nil {
			phones[name] = newClient("udp", nodes[node].udp.String(), "7f3a9c", "kitchen", "2001")
		}
		phone := phones[name]
		phone.close()
		phone.server, phone.nonce = nodes[node].udp.String(), ""
		answer, _, err := phone.register(fmt.Sprintf("Contact: <sip:%s@127.0.0.1:6000>;expires=%d", name, expires))
		if err != nil || answer.status != 200 {
			t.Fatal(answer, err)
		}
	}
	defer func() {
		for _, phone := range phones {
			phone.close()
		}
	}()
	register(1, "a", 600)
	w.expect("1 partial active, a active registered")
	register(1, "a", 600)
	w.expect("2 partial active, a active refreshed")
	register(1, "b", 600)
	w.expect("3 partial active, b active registered")

	register(1, "b", 0)         // which is to be told 5 s after the last
	time.Sleep(2 * time.Second) // it is found that something has changed, and what is to be asked of Redis
	r.pause(t)
	nodes[0].waitLog(t, `"event":"not_durable"`)
	w.expectNothing(7 * time.Second)
	r.resume(t)
	nodes[0].waitLog(t, `"event":"durable"`)
	nodes[1].waitLog(t, `"event":"durable"`)
	w.expect("4 partial active, b terminated unregistered")

	register(0, "c", 600)
	w.expect("5 partial active, c active registered")
	register(1, "d", 9)
	w.expect("6 partial active, d active registered")
	nodes[1].kill(t) // so nobody sees to it that it expires
	w.expect("7 partial active, d terminated expired")
	w.expectNothing(6 * time.Second)
	register(0, "c", 0)
	w.expect("8 partial active, c terminated unregistered")
}
