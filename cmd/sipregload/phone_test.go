package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func newPhone() *phone {
	return &phone{names: peersOfSipregd(6)[5], number: 5,
		wire: &wire{transport: "UDP", local: "127.0.0.1:4000", host: "load.invalid"}}
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
	p.begin(now, now)
	if got, err := p.receive([]byte(challengeOfTest), now); got != toProve || err != nil {
		t.Fatal(got, err)
	}
	next := string(p.request())
	for _, want := range []string{
		"To: <sip:15@127.0.0.1>\r\n", "CSeq: 2 REGISTER\r\n", "Call-ID: 5@load.invalid\r\n",
		`username="a5", realm="r", nonce="n"`,
	} {
		if !strings.Contains(next, want) {
			t.Errorf("%q lacks %q", next, want)
		}
	}
	if got, err := p.receive([]byte(challengeOfTest), now); got != passedOver || err != nil {
		t.Error("a retransmitted challenge is not passed over:", got, err)
	}
	if got, err := p.receive([]byte(grantOfTest("<sip:15@127.0.0.1:4000;transport=udp>")), now); got != registered || err != nil {
		t.Error("not complete:", got, err)
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
			p.begin(now, now)
			last := len(test.responses) - 1
			for _, response := range test.responses[:last] {
				if _, err := p.receive([]byte(response), now); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := p.receive([]byte(test.responses[last]), now); !errors.Is(err, errUnexpected) {
				t.Error(got, err)
			}
		})
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
			p.begin(now, now)
			if first := string(p.request()); strings.Contains(first, "Contact") || strings.Contains(first, "Expires") {
				t.Errorf("no query: %q", first)
			}
			if _, err := p.receive([]byte(challengeOfTest), now); err != nil {
				t.Fatal(err)
			}
			if _, err := p.receive([]byte(grantOfTest(test.listed)), now); errors.Is(err, errUnexpected) == test.succeed {
				t.Error(err)
			}
		})
	}
}
