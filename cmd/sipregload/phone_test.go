package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func newPhone() *phone {
	return &phone{names: peersOfSipregd(6)[5], number: 5, host: "load.invalid", local: "127.0.0.1:4000"}
}

const challengeOfTest = "SIP/2.0 401 Unauthorized\r\nCall-ID: 5@load.invalid\r\nCSeq: 1 REGISTER\r\n" +
	"WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5, qop=\"auth\"\r\nContent-Length: 0\r\n\r\n"

// grantOfTest lists a Contact in answer to the request that CSeq 2 is of.
func grantOfTest(contact string) string {
	return "SIP/2.0 200 OK\r\nCall-ID: 5@load.invalid\r\nCSeq: 2 REGISTER\r\nContact: " + contact +
		";expires=3600\r\nContent-Length: 0\r\n\r\n"
}

func TestPhoneRegisters(t *testing.T) {
	p, now := newPhone(), time.Now()
	p.begin(now)
	next, complete, err := p.receive([]byte(challengeOfTest), now)
	if complete || err != nil {
		t.Fatal(complete, err)
	}
	for _, want := range []string{
		"To: <sip:15@127.0.0.1>\r\n", "CSeq: 2 REGISTER\r\n", "Call-ID: 5@load.invalid\r\n",
		`username="a5", realm="r", nonce="n"`,
	} {
		if !strings.Contains(string(next), want) {
			t.Errorf("%q lacks %q", next, want)
		}
	}
	if next, complete, err := p.receive([]byte(challengeOfTest), now); next != nil || complete || err != nil {
		t.Error("a retransmitted challenge is not passed over:", next, complete, err)
	}
	if _, complete, err := p.receive([]byte(grantOfTest("<sip:15@127.0.0.1:4000;transport=udp>")), now); !complete || err != nil {
		t.Error("not complete:", err)
	}
}

func TestPhoneChecksResponses(t *testing.T) {
	const early = "SIP/2.0 200 OK\r\nCall-ID: 5@load.invalid\r\nCSeq: 1 REGISTER\r\nContact: <sip:15@127.0.0.1:4000;transport=udp>\r\n\r\n"
	again := strings.Replace(challengeOfTest, "CSeq: 1", "CSeq: 2", 1)
	forbidden := strings.Replace(again, "401 Unauthorized", "403 Forbidden", 1)
	for _, test := range []struct {
		name      string
		responses []string // all but the last are right
	}{
		{"200 without a challenge", []string{early}},
		{"401 to credentials", []string{challengeOfTest, again}},
		{"403", []string{challengeOfTest, forbidden}},
		{"200 without the Contact", []string{challengeOfTest, grantOfTest("<sip:15@127.0.0.1:40001;transport=udp>")}},
		{"200 without a Contact", []string{challengeOfTest, grantOfTest("")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, now := newPhone(), time.Now()
			p.begin(now)
			last := len(test.responses) - 1
			for _, response := range test.responses[:last] {
				if _, _, err := p.receive([]byte(response), now); err != nil {
					t.Fatal(err)
				}
			}
			if _, complete, err := p.receive([]byte(test.responses[last]), now); complete || !errors.Is(err, errUnexpected) {
				t.Error("complete:", complete, "error:", err)
			}
		})
	}
}

func TestTimerEAndF(t *testing.T) {
	p, began := newPhone(), time.Unix(0, 0)
	request := string(p.begin(began))
	var sent []time.Duration
	for at := time.Duration(0); ; at += tick {
		again, err := p.resend(began.Add(at))
		if errors.Is(err, errNoAnswer) {
			sent = append(sent, at)
			break
		}
		if again != nil && string(again) != request {
			t.Fatalf("%q, want the request as it was", again)
		}
		if again != nil {
			sent = append(sent, at)
		}
	}
	const ms = time.Millisecond
	want := []time.Duration{500 * ms, 1500 * ms, 3500 * ms, 7500 * ms, 11500 * ms} // the last one is the end
	if len(sent) != len(want) {
		t.Fatalf("%v, want %v", sent, want)
	}
	for i := range want {
		if sent[i] != want[i] {
			t.Errorf("%v, want %v", sent, want)
		}
	}
}

func TestQueryExpectsWhatIsBound(t *testing.T) {
	const there, none = "<sip:15@127.0.0.1:4000;transport=udp>", ""
	for _, test := range []struct {
		name    string
		bound   bool
		listed  string
		succeed bool
	}{
		{"bound and listed", true, there, true},
		{"bound and not listed", true, none, false},
		{"bound elsewhere", true, "<sip:15@127.0.0.1:4001;transport=udp>", false},
		{"not bound", false, none, true},
		{"not bound and listed", false, there, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, now := newPhone(), time.Now()
			p.query, p.bound = true, test.bound
			if first := string(p.begin(now)); strings.Contains(first, "Contact") || strings.Contains(first, "Expires") {
				t.Errorf("no query: %q", first)
			}
			if _, _, err := p.receive([]byte(challengeOfTest), now); err != nil {
				t.Fatal(err)
			}
			_, complete, err := p.receive([]byte(grantOfTest(test.listed)), now)
			if complete != test.succeed || errors.Is(err, errUnexpected) == test.succeed {
				t.Error("complete:", complete, "error:", err)
			}
		})
	}
}
