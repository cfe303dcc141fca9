package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// redirecting answers INVITE by where the phone has registered, and takes down each INVITE
// and ACK by its branch.
type redirecting struct {
	mu       sync.Mutex
	contacts map[string]string // by address-of-record
	invites  map[string]string // header field To of the response
	acks     map[string]string // and of the ACK
	lost     int               // ACK to nothing
}

func (r *redirecting) answer(request, answer []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	line, _, _ := bytes.Cut(request, []byte("\r\n"))
	method, rest, _ := strings.Cut(string(line), " sip:")
	aor, _, _ := strings.Cut(rest, "@")
	branch := header(request, "Via")
	switch method {
	case "REGISTER":
		aor, _, _ = strings.Cut(strings.TrimPrefix(header(request, "To"), "<sip:"), "@")
		r.contacts[aor] = header(request, "Contact")
		return answer
	case "ACK":
		if _, found := r.invites[branch]; !found {
			r.lost++
		}
		r.acks[branch] = header(request, "To") + header(request, "CSeq")
		return nil
	}
	to := header(request, "To") + ";tag=" + fmt.Sprint(len(r.invites))
	r.invites[branch] = to + strings.Replace(header(request, "CSeq"), "INVITE", "ACK", 1)
	return []byte("SIP/2.0 302 Moved Temporarily\r\nVia: " + branch + "\r\nFrom: " + header(request, "From") + "\r\nTo: " + to +
		"\r\nCall-ID: " + header(request, "Call-ID") + "\r\nCSeq: " + header(request, "CSeq") + "\r\nContact: " + r.contacts[aor] + "\r\n\r\n")
}

func TestPhonesCallEachOtherAndAcknowledge(t *testing.T) {
	r := &redirecting{contacts: map[string]string{}, invites: map[string]string{}, acks: map[string]string{}}
	s := registrarOfTest(t, r.answer)
	f, err := newFleet(s, s.peers, newHost(), overUDP())
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if err := f.run(t.Context(), phase{inFlight: ports, once: true}).failure(); err != nil {
		t.Fatal(err)
	}
	const calls = 3 // of each
	f.callEachOther()
	for range calls {
		f.again(len(f.phones))
		if err := f.run(t.Context(), phase{inFlight: ports, once: true}).failure(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.flush(); err != nil { // the last of the ACKs
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for {
		r.mu.Lock()
		if len(r.acks) == calls*len(s.peers) || time.Now().After(deadline) {
			break
		}
		r.mu.Unlock()
		time.Sleep(ms)
	}
	defer r.mu.Unlock()
	if len(r.invites) != calls*len(s.peers) || r.lost > 0 {
		t.Errorf("%d INVITEs, %d ACKs to none; want %d of %d phones", len(r.invites), r.lost, calls, len(s.peers))
	}
	for branch, want := range r.invites {
		if r.acks[branch] != want {
			t.Errorf("%s: ACK has %q, want %q", branch, r.acks[branch], want)
		}
	}
}

func TestPhoneChecksWhereItIsSent(t *testing.T) {
	redirection := func(status, cseq, contact string) string {
		return "SIP/2.0 " + status + "\r\nTo: <sip:16@127.0.0.1>;tag=x\r\nCall-ID: 5@load.invalid\r\nCSeq: " + cseq + "\r\nContact: " + contact + "\r\n\r\n"
	}
	const there = "<sip:16@127.0.0.1:4001;transport=udp>"
	for _, test := range []struct {
		name, response string
		want           step
		fails          bool
	}{
		{"302", redirection("302 Moved Temporarily", "1 INVITE", there+";q=1"), redirected, false},
		{"elsewhere", redirection("302 Moved Temporarily", "1 INVITE", "<sip:16@127.0.0.1:4002;transport=udp>"), passedOver, true},
		{"nowhere", redirection("302 Moved Temporarily", "1 INVITE", ""), passedOver, true},
		{"480", redirection("480 Temporarily Unavailable", "1 INVITE", there), passedOver, true},
		{"of an earlier call", redirection("302 Moved Temporarily", "0 INVITE", there), passedOver, false},
		{"of a registration", redirection("200 OK", "1 REGISTER", there), passedOver, false},
		{"provisional", redirection("100 Trying", "1 INVITE", ""), passedOver, false},
		{"too much to do", redirection("503 Service Unavailable", "1 INVITE", ""), putOff, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPhone()
			p.call = &call{callee: &phone{names: peersOfSipregd(7)[6], wire: &wire{transport: "UDP", local: "127.0.0.1:4001"}}}
			p.begin(time.Now(), time.Now())
			got, err := p.receive([]byte(test.response), time.Now())
			if got != test.want || errors.Is(err, errUnexpected) != test.fails {
				t.Errorf("%v, %v", got, err)
			}
			if waits := test.want == passedOver && !test.fails; p.waiting != waits {
				t.Errorf("it waits: %v", p.waiting)
			}
		})
	}
}

func TestAnINVITEIsAsLongAsItSays(t *testing.T) {
	p := newPhone()
	p.call = &call{callee: p}
	p.begin(time.Now(), time.Now())
	head, body, _ := bytes.Cut(p.request(), []byte("\r\n\r\n"))
	if string(body) != offer || header(head, "Content-Length") != fmt.Sprint(len(offer)) || !bytes.HasPrefix(head, []byte("INVITE sip:15@127.0.0.1 SIP/2.0\r\n")) {
		t.Errorf("%s", p.request())
	}
}

// A real one finds what has registered.
func TestKamailioRedirects(t *testing.T) {
	if _, err := os.Stat(kamailio); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("kamailio is not there (apt-get install kamailio)")
		}
		t.Skip("SKIPPED: kamailio is not there (apt-get install kamailio)")
	}
	b := &benchmark{starter: starter{ctx: context.Background()},
		options: &options{kamailio: "../../testdata/bench/kamailio.cfg", phones: 2 * ports, inFlight: ports, span: 200 * ms}}
	for _, r := range b.callRows()[1:] {
		t.Run(r.name, func(t *testing.T) {
			if err := b.callOnce(r); err != nil {
				t.Fatal(err)
			}
			if len(r.runs) != 1 || r.runs[0].completed == 0 || r.runs[0].deed != calling {
				t.Errorf("%+v", r.runs)
			}
		})
	}
}

func TestRatiosOfCallsAreToBothKamailios(t *testing.T) {
	of := func(name string, perSecond float64, cpu time.Duration) *row {
		return &row{name: name, runs: []measurement{{perSecond: perSecond, cpu: cpu}}}
	}
	rows := []*row{of(redirectName, 3000, 20*time.Microsecond), of(kamailioName, 2000, 40*time.Microsecond), of(statefulName, 1000, 80*time.Microsecond)}
	for _, test := range []struct {
		name string
		rows []*row
		want string
	}{
		{"beside both", rows, "| 1.50 | 0.50 | 3.00 | 0.25 |"},
		{"alone", rows[:1], "| - | - | - | - |"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			(&benchmark{options: &options{rounds: 1}}).printCalls(&out, test.rows)
			got := lineOf(t, out.String(), redirectName)
			if !strings.HasSuffix(got, test.want) || strings.Count(got, "|") != strings.Count(lineOf(t, out.String(), "redirect server"), "|") {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestCallsAreRedirectedWhereAsked(t *testing.T) {
	for _, calls := range []bool{false, true} {
		c := configuration{calls: calls}
		if strings.Contains(c.text(), "[calls]\nredirect = yes\npermit = 127.0.0.0/8\n[listen]") != calls {
			t.Errorf("%v: %q", calls, c.text())
		}
	}
}
