package redirect_test

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sipregd/internal/digest"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/peers/peerstest"
	"sipregd/internal/redirect"
	"sipregd/internal/registrar"
	"sipregd/internal/sipuri"
	"sipregd/internal/transaction"
)

// lab is a redirect server behind its transaction layer, with a clock that the test moves.
type lab struct {
	t       testing.TB
	layer   *transaction.Layer
	store   *distant
	events  []journal.Event
	now     time.Time
	flow    message.Flow
	branch  int
	repeats int // responses that were sent again
	finals  *transaction.Finals
	silent  map[uint64]bool // bindings whose phones do not answer
}

// distant is a store that may be out of reach.
type distant struct {
	*location.Memory
	away   bool
	fails  bool       // look-ups do, though it is not known to be away
	near   sipuri.AOR // of which they do not, and which is not away
	asked  atomic.Int32
	wanted int32         // look-ups are answered once so many wait; 0: at once
	all    chan struct{} // closed once they do
}

func (d *distant) Stale() bool { return d.away }

func (d *distant) StaleOf(aor sipuri.AOR) bool { return d.away && aor != d.near }

func (d *distant) Lookup(aor sipuri.AOR, now time.Time) ([]location.Binding, bool) {
	if n := d.asked.Add(1); d.wanted > 0 {
		if n == d.wanted {
			close(d.all)
		}
		select {
		case <-d.all:
		case <-time.After(10 * time.Second):
		}
	}
	return d.Bindings(aor, now), (d.away || d.fails) && aor != d.near
}

const labPeers = `
[Kitchen]
authname = 7f3a9c
secret = any;text#at all
aorname = 2001

[Workshop]
authname = workshop
secret = w
aorname = 2002, 2003
defaultname = voice box
defaulthost = 192.0.2.33:5070

[Off]
authname = off
secret = o
aorname = 2004
enabled = no
`

// newLab has the bindings at hand.
func newLab(t testing.TB, conf string, domains []string, permit ...string) *lab {
	t.Helper()
	return makeLab(t, conf, domains, permit, func(d *distant) registrar.Location { return d.Memory })
}

// newFarLab has them in a store that may be out of reach.
func newFarLab(t testing.TB, conf string, permit ...string) *lab {
	t.Helper()
	return makeLab(t, conf, nil, permit, func(d *distant) registrar.Location { return d })
}

func makeLab(t testing.TB, conf string, domains, permit []string, locationOf func(*distant) registrar.Location) *lab {
	t.Helper()
	l := &lab{t: t, now: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC), silent: map[uint64]bool{}}
	l.store = &distant{Memory: location.NewMemory(l.now)}
	l.flow = message.Flow{Transport: "UDP", Source: netip.MustParseAddrPort("192.0.2.7:5060"), Local: netip.MustParseAddrPort("192.0.2.1:5060")}
	served := peers.NewDomains(domains, "")
	directory := peerstest.Load(t, conf, peers.Options{Domains: served, Algorithms: []digest.Algorithm{digest.MD5},
		MaxContacts: 10, MinimumExpiration: 60, DefaultExpiration: 3600, MaximumExpiration: 7200, ClientCertificates: true})
	r := registrar.New(registrar.Options{
		Domains: served, Directory: directory, Location: locationOf(l.store), Journal: l,
		Authenticator: digest.New([32]byte{1}, []digest.Algorithm{digest.MD5}, 300*time.Second),
	}).QualifiedBy(l)
	var networks []netip.Prefix
	for _, network := range permit {
		networks = append(networks, netip.MustParsePrefix(network))
	}
	l.finals = transaction.NewFinals(func(message.Flow, []byte) error { l.repeats++; return nil }, 1<<20)
	server := redirect.New(redirect.Options{Registrar: r, Journal: l, Permit: networks})
	l.layer = transaction.NewLayer(server, 1<<20).Repeating(l.finals)
	return l
}

// Record, Bound and Unreachable make the lab the journal and the qualifier.
func (l *lab) Record(e journal.Event) {
	for _, text := range [...]*string{&e.Authname, &e.Label, &e.AOR.User, &e.AOR.Domain, &e.Contact, &e.CallID, &e.Detail} {
		*text = strings.Clone(*text)
	}
	l.events = append(l.events, e)
}
func (l *lab) Bound(*peers.Peer, sipuri.AOR, *location.Binding, time.Time) {}
func (l *lab) Unreachable(id uint64) bool                                  { return l.silent[id] }

// bind stores bindings of a peer, each a minute later than the one before.
func (l *lab) bind(aor sipuri.AOR, authname string, bindings ...location.Binding) {
	l.t.Helper()
	for i := range bindings {
		b := &bindings[i]
		b.Authname, b.Domain, b.Changed = authname, aor.Domain, l.now.Add(time.Duration(i)*time.Second-time.Minute)
		if b.Expires.IsZero() {
			b.Expires = l.now.Add(time.Hour)
		}
	}
	err := l.store.Update(aor, l.now.Add(-time.Hour), func([]location.Binding) ([]location.Binding, error) { return bindings, nil },
		func([]location.Binding) {})
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) bindCaller() {
	l.bind(sipuri.AOR{User: "2001"}, "7f3a9c", location.Binding{Contact: "sip:2001@192.0.2.7"})
}

// caller is a phone that calls.
type caller struct {
	l                     *lab
	method, from          string
	authname, secret      string
	callID, authorization string
	cseq                  int
	between               func() // the challenge and the answer
}

func (l *lab) kitchen() *caller {
	l.branch++
	return &caller{l: l, method: "INVITE", from: "sip:2001@r.example", authname: "7f3a9c", secret: "any;text#at all", callID: fmt.Sprint("call-", l.branch)}
}

func (c *caller) request(uri string, lines ...string) string {
	c.l.branch++
	c.cseq++
	head := []string{
		c.method + " " + uri + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-%d;rport", c.l.branch),
		"From: <" + c.from + ">;tag=f", "To: <" + uri + ">", "Call-ID: " + c.callID, fmt.Sprintf("CSeq: %d %s", c.cseq, c.method),
	}
	if c.authorization != "" {
		head = append(head, c.authorization)
	}
	return strings.Join(append(head, lines...), "\r\n") + "\r\nMax-Forwards: 0\r\nContent-Length: 0\r\n\r\n"
}

func (l *lab) send(text string) string {
	data := []byte(text)
	answer := string(l.layer.Receive(nil, data, l.flow, l.now).Data)
	for i := range data { // the next message comes there
		data[i] = '#'
	}
	return answer
}

// call calls as a phone does: it is challenged and answers.
func (c *caller) call(uri string, lines ...string) string {
	c.l.t.Helper()
	c.authorization = ""
	challenge := c.l.send(c.request(uri, lines...))
	if !strings.HasPrefix(challenge, "SIP/2.0 401 ") {
		return challenge
	}
	if c.between != nil {
		c.between()
	}
	part := func(name string) string {
		return regexp.MustCompile(name + `="([^"]*)`).FindStringSubmatch(challenge)[1]
	}
	h := func(text string) string { sum := md5.Sum([]byte(text)); return hex.EncodeToString(sum[:]) }
	response := h(strings.Join([]string{h(c.authname + ":" + part("realm") + ":" + c.secret), part("nonce"), "00000001", "c0ffee", "auth", h(c.method + ":" + uri)}, ":"))
	c.authorization = fmt.Sprintf(`Authorization: Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", qop=auth, nc=00000001, cnonce="c0ffee"`,
		c.authname, part("realm"), part("nonce"), uri, response)
	return c.l.send(c.request(uri, lines...))
}

func status(answer string) string {
	line, _, _ := strings.Cut(answer, "\r\n")
	return strings.TrimPrefix(line, "SIP/2.0 ")
}

func contacts(answer string) (list []string) {
	for _, match := range regexp.MustCompile(`(?m)^Contact: ([^\r]*)`).FindAllStringSubmatch(answer, -1) {
		list = append(list, match[1])
	}
	return list
}

func (l *lab) lastEvent() journal.Event {
	l.t.Helper()
	if len(l.events) == 0 {
		l.t.Fatal("nothing was taken down")
	}
	return l.events[len(l.events)-1]
}

func Test8_3_ACallIsToldWhereThePhoneIs(t *testing.T) {
	gone := location.Binding{Contact: "sip:gone@192.0.2.9", Expires: time.Date(2026, 11, 26, 11, 59, 0, 0, time.UTC)}
	const instance = `;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"`
	for _, test := range []struct {
		name, uri string
		transport string
		bound     []location.Binding
		silent    int // which of them does not answer, from 1
		status    string
		contacts  []string
	}{
		{"one Contact", "sip:2002@r", "UDP", []location.Binding{{Contact: "sip:a@192.0.2.8"}}, 0, "302 Moved Temporarily", []string{"<sip:a@192.0.2.8>;expires=3600"}},
		{"what tells of the phone is left out", "sip:2002@r", "UDP", []location.Binding{{Contact: "sip:a@192.0.2.8;line=x", Params: instance}}, 0,
			"302 Moved Temporarily", []string{"<sip:a@192.0.2.8;line=x>;expires=3600"}},
		{"by q, then the last first", "sip:2002@r", "UDP",
			[]location.Binding{{Contact: "sip:a@h", Q: "0.2"}, {Contact: "sip:b@h"}, {Contact: "sip:c@h", Q: "0.75"}, {Contact: "sip:d@h", Q: "1.0"}}, 0,
			"302 Moved Temporarily", []string{"<sip:d@h>;q=1.0;expires=3600", "<sip:b@h>;expires=3600", "<sip:c@h>;q=0.75;expires=3600", "<sip:a@h>;q=0.2;expires=3600"}},
		{"who does not answer last", "sip:2002@r", "UDP", []location.Binding{{Contact: "sip:a@h", Q: "0.2"}, {Contact: "sip:b@h", Q: "0.9"}}, 2,
			"302 Moved Temporarily", []string{"<sip:a@h>;q=0.2;expires=3600", "<sip:b@h>;q=0.9;expires=3600"}},
		{"whose connection is gone last", "sip:2002@r", "UDP", []location.Binding{{Contact: "sip:a@h", Q: "0.2"}, {Contact: "sip:b@h", Stream: 4711}}, 0,
			"302 Moved Temporarily", []string{"<sip:a@h>;q=0.2;expires=3600", "<sip:b@h>;expires=3600"}},
		{"Path", "sip:2002@r", "UDP", []location.Binding{{Contact: "sip:a@h", Path: `<sip:p1.example;lr>, "A & B" <sip:p2.example;lr>`}}, 0,
			"302 Moved Temporarily", []string{"<sip:a@h?Route=%3Csip:p1.example%3Blr%3E%2C%20%22A%20%26%20B%22%20%3Csip:p2.example%3Blr%3E>;expires=3600"}},
		{"Path of a Contact with headers", "sip:2002@r", "UDP", []location.Binding{{Contact: "sip:a@h?Subject=x", Path: "<sip:p;lr>"}}, 0,
			"302 Moved Temporarily", []string{"<sip:a@h?Subject=x&Route=%3Csip:p%3Blr%3E>;expires=3600"}},
		{"an expired one", "sip:2002@r", "UDP", []location.Binding{gone, {Contact: "sip:a@h"}}, 0, "302 Moved Temporarily", []string{"<sip:a@h>;expires=3600"}},
		{"a WebSocket alone", "sip:2001@r", "UDP", []location.Binding{{Contact: "sip:x@a1b2.invalid;transport=ws"}}, 0, "480 Temporarily Unavailable", nil},
		{"nothing registered, and an address that stands in", "sip:2003@r", "UDP", nil, 0, "302 Moved Temporarily", []string{"<sip:voice%20box@192.0.2.33:5070>"}},
		{"all expired, and an address that stands in", "sip:2002@r", "UDP", []location.Binding{gone}, 0, "302 Moved Temporarily", []string{"<sip:voice%20box@192.0.2.33:5070>"}},
		{"what was called is its Contact", "sip:2001@h", "UDP", []location.Binding{{Contact: "sip:2001@h"}}, 0, "480 Temporarily Unavailable", nil},
		{"what was called is one of its Contacts", "sip:2001@h", "UDP", []location.Binding{{Contact: "sip:2001@h"}, {Contact: "sip:a@h"}}, 0,
			"302 Moved Temporarily", []string{"<sip:a@h>;expires=3600"}},
		{"what was called stands in", "sip:2002@192.0.2.33:5070", "UDP", nil, 0, "302 Moved Temporarily", []string{"<sip:voice%20box@192.0.2.33:5070>"}},
		{"no peer's", "sip:2999@r", "UDP", nil, 0, "404 Not Found", nil},
		{"no name", "sip:r", "UDP", nil, 0, "404 Not Found", nil},
		{"of a peer that is not enabled", "sip:2004@r", "UDP", nil, 0, "480 Temporarily Unavailable", nil},
		{"sips:", "sips:2002@r", "TLS", []location.Binding{{Contact: "sip:a@h"}, {Contact: "sips:b@h"}}, 0, "302 Moved Temporarily", []string{"<sips:b@h>;expires=3600"}},
		{"sips: without a secure Contact", "sips:2001@r", "TLS", []location.Binding{{Contact: "sip:a@h;transport=tls"}}, 0, "480 Temporarily Unavailable", nil},
		{"sips: over UDP", "sips:2002@r", "UDP", []location.Binding{{Contact: "sips:b@h"}}, 0, "403 SIPS Needs TLS", nil},
		{"GRUU", "sip:2002@r;gr=urn:uuid:00000000-0000-1000-8000-000a95a0e128", "UDP", []location.Binding{{Contact: "sip:a@h"}, {Contact: "sip:b@h", Params: instance}}, 0,
			"302 Moved Temporarily", []string{"<sip:b@h>;expires=3600"}},
		{"GRUU of nobody", "sip:2002@r;gr=urn:uuid:1", "UDP", []location.Binding{{Contact: "sip:a@h"}}, 0, "480 Temporarily Unavailable", nil},
		{"temporary GRUU of nobody", "sip:tgruu.xyz@r;gr", "UDP", nil, 0, "404 Not Found", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, labPeers, nil, "192.0.2.0/24")
			l.flow.Transport = test.transport
			if test.bound != nil {
				name, _, _ := strings.Cut(test.uri[strings.IndexByte(test.uri, ':')+1:], "@")
				l.bind(sipuri.AOR{User: name}, "workshop", test.bound...)
				if test.silent > 0 {
					l.silent[l.store.Bindings(sipuri.AOR{User: name}, l.now)[test.silent-1].ID] = true
				}
			}
			answer := l.kitchen().call(test.uri, "Require: 100rel")
			if status(answer) != test.status || !reflect.DeepEqual(contacts(answer), test.contacts) {
				t.Errorf("got %s %q, want %s %q", status(answer), contacts(answer), test.status, test.contacts)
			}
		})
	}
}

// Until the caller has proved who he is, the answer tells nothing of whom he calls.
func TestAStrangerLearnsNothing(t *testing.T) {
	l := newLab(t, labPeers, nil)
	l.bindCaller()
	blank := func(answer string) string {
		return regexp.MustCompile(`branch=\S+|nonce="[^"]*"|tag=\w+|sip:\d+@|call-\d+`).ReplaceAllString(answer, "")
	}
	for _, method := range []string{"INVITE", "MESSAGE", "SUBSCRIBE", "OPTIONS", "REFER", "NONSENSE"} {
		var first string
		for i, name := range []string{"2001", "2002", "2003", "2004", "2999"} {
			c := l.kitchen()
			c.method = method
			answer := l.send(c.request("sip:" + name + "@r"))
			if status(answer) != "401 Unauthorized" || len(contacts(answer)) > 0 {
				t.Fatalf("%s for %s gets %s", method, name, answer)
			}
			if i == 0 {
				first = blank(answer)
			}
			if blank(answer) != first {
				t.Errorf("%s for %s gets\n%s\nfor another\n%s", method, name, answer, first)
			}
		}
	}
	if e := l.lastEvent(); e.Kind != journal.Challenged || e.AOR.User != "2001" || e.Detail != "by NONSENSE" {
		t.Errorf("taken down: %+v", e)
	}
}

func TestWhoMayCall(t *testing.T) {
	workshop := func(c *caller) { c.authname, c.secret, c.from = "workshop", "w", "sip:2002@r.example" }
	for _, test := range []struct {
		name   string
		change func(*caller)
		permit string
		status string
		reason journal.Reason
	}{
		{"a peer that is registered", func(*caller) {}, "198.51.100.0/24", "302 Moved Temporarily", journal.None},
		{"by another name of its own", func(c *caller) { c.from = "sip:anonymous@anonymous.invalid" }, "", "302 Moved Temporarily", journal.None},
		{"a peer that is not", workshop, "", "403 Register First", journal.CallerNotRegistered},
		{"with the address of one that is", func(c *caller) { workshop(c); c.from = "sip:2001@r.example" }, "", "403 Register First", journal.CallerNotRegistered},
		{"a wrong secret", func(c *caller) { c.secret = "x" }, "", "401 Unauthorized", journal.WrongSecret},
		{"nobody", func(c *caller) { c.authname = "nobody" }, "", "401 Unauthorized", journal.UnknownAuthname},
		{"a peer that is not enabled", func(c *caller) { c.authname, c.secret = "off", "o" }, "", "403 Forbidden", journal.PeerDisabled},
		{"a permitted network", func(c *caller) { c.authname = "nobody" }, "192.0.2.0/24", "302 Moved Temporarily", journal.None},
	} {
		t.Run(test.name, func(t *testing.T) {
			var permit []string
			if test.permit != "" {
				permit = []string{test.permit}
			}
			for _, l := range []*lab{newLab(t, labPeers, nil, permit...), newFarLab(t, labPeers, permit...)} {
				l.bindCaller()
				c := l.kitchen()
				test.change(c)
				answer := c.call("sip:2001@r")
				e := l.lastEvent()
				if status(answer) != test.status || e.Reason != test.reason {
					t.Errorf("got %s for %v, want %s for %v", status(answer), e.Reason, test.status, test.reason)
				}
				if (e.Kind == journal.Redirected) != (test.reason == journal.None) || e.Kind == journal.Redirected && (e.Contact == "" || e.AOR.User != "2001") {
					t.Errorf("taken down: %+v", e)
				}
				if e.Reason == journal.CallerNotRegistered && e.AOR.User != "2001" { // whom he calls
					t.Errorf("taken down of %v", e.AOR)
				}
			}
		})
	}
}

func TestEachMethodIsRedirected(t *testing.T) {
	for _, test := range []struct{ method, uri, to, status string }{
		{"INVITE", "sip:2002@r", "", "302 Moved Temporarily"},
		{"MESSAGE", "sip:2002@r", "", "302 Moved Temporarily"},
		{"SUBSCRIBE", "sip:2002@r", "", "302 Moved Temporarily"},
		{"REFER", "sip:2002@r", "", "302 Moved Temporarily"},
		{"NONSENSE", "sip:2002@r", "", "302 Moved Temporarily"}, // §8.3
		{"OPTIONS", "sip:2002@r", "", "302 Moved Temporarily"},
		{"OPTIONS", "sip:r", "", "200 OK"},
		{"INVITE", "sip:2002@r", ";tag=x", "481 Call/Transaction Does Not Exist"},
		{"BYE", "sip:2002@r", ";tag=x", "481 Call/Transaction Does Not Exist"},
		{"INVITE", "tel:+4930", "", "416 Unsupported URI Scheme"},
	} {
		l := newLab(t, labPeers, nil, "192.0.2.0/24")
		l.bind(sipuri.AOR{User: "2002"}, "workshop", location.Binding{Contact: "sip:a@h"})
		c := l.kitchen()
		c.method = test.method
		answer := l.send(strings.Replace(c.request(test.uri), "To: <"+test.uri+">", "To: <"+test.uri+">"+test.to, 1))
		if status(answer) != test.status {
			t.Errorf("%s %s%s gets %s, want %s", test.method, test.uri, test.to, status(answer), test.status)
		}
		if test.uri == "sip:r" && !strings.Contains(answer, "\r\nAllow: REGISTER, OPTIONS, CANCEL, ACK, INVITE, MESSAGE, SUBSCRIBE, NOTIFY, REFER\r\n") {
			t.Errorf("OPTIONS gets\n%s", answer)
		}
	}
}

// Domains are apart: who is a peer of one calls into it alone.
func TestDomainsOfCalls(t *testing.T) {
	const conf = "[A]\nauthname = a\nsecret = s\naorname = 1\ndomain = a.example\n[B]\nauthname = b\nsecret = s\naorname = 1\ndomain = b.example\n"
	l := newLab(t, conf, []string{"a.example", "b.example"})
	l.bind(sipuri.AOR{User: "1", Domain: "a.example"}, "a", location.Binding{Contact: "sip:1@192.0.2.7"})
	l.bind(sipuri.AOR{User: "1", Domain: "b.example"}, "b", location.Binding{Contact: "sip:1@192.0.2.8"})
	for uri, want := range map[string]string{"sip:1@a.example": "302 Moved Temporarily", "sip:1@b.example": "401 Unauthorized", "sip:1@c.example": "404 Domain Not Served Here"} {
		c := l.kitchen()
		c.authname, c.secret, c.from = "a", "s", "sip:1@a.example"
		if got := status(c.call(uri)); got != want {
			t.Errorf("%s: got %s, want %s", uri, got, want)
		}
	}
}

// While the store is out of reach what was seen last is told, and of all else not that it is
// not there.
func TestCallsWhileTheStoreIsAway(t *testing.T) {
	const wait = "503 Service Unavailable"
	for _, test := range []struct {
		name, uri  string
		registered bool // the caller
		status     string
		near       string // whose bindings are known all the same
	}{
		{"of whom something was seen", "sip:2002@r", true, "302 Moved Temporarily", ""},
		{"of whom nothing was seen", "sip:2001@r", true, wait, ""},
		{"of whom it is known", "sip:2001@r", true, "480 Temporarily Unavailable", "2001"},
		{"no peer's here", "sip:2999@r", true, wait, ""},
		{"no peer's, which is known", "sip:2999@r", true, "404 Not Found", "2999"},
		{"with an address that stands in", "sip:2003@r", true, "302 Moved Temporarily", ""},
		{"by a GRUU of a phone that was seen", "sip:2002@r;gr=urn:uuid:1", true, "302 Moved Temporarily", ""},
		{"by a GRUU of a phone that was not", "sip:2002@r;gr=urn:uuid:2", true, wait, ""},
		{"by a GRUU of a phone that is not there", "sip:2002@r;gr=urn:uuid:2", true, "480 Temporarily Unavailable", "2002"},
		{"by a peer of whom nothing was seen", "sip:2002@r", false, wait, ""},
		{"by a peer of whom it is known", "sip:2002@r", false, "403 Register First", "2001"},
	} {
		for _, away := range []bool{true, false} { // where it is not known to be, just these look-ups fail
			t.Run(fmt.Sprintf("%s, away: %v", test.name, away), func(t *testing.T) {
				l := newFarLab(t, labPeers)
				l.bind(sipuri.AOR{User: "2002"}, "workshop", location.Binding{Contact: "sip:a@192.0.2.8", Params: `;+sip.instance="<urn:uuid:1>"`})
				c := l.kitchen()
				if test.registered {
					c.authname, c.secret, c.from = "workshop", "w", "sip:2002@r.example"
				}
				l.store.away, l.store.fails, l.store.near = away, !away, sipuri.AOR{User: test.near}
				answer := c.call(test.uri)
				if status(answer) != test.status {
					t.Fatalf("got %s, want %s", status(answer), test.status)
				}
				if status(answer) == wait && (!strings.Contains(answer, "\r\nRetry-After: ") || l.lastEvent().Reason != journal.StoreFailed) {
					t.Errorf("got %s for %v", answer, l.lastEvent().Reason)
				}
			})
		}
	}
}

// Without the key a temporary GRUU says nothing, and that key may be where the bindings are.
func TestATemporaryGRUUWhileTheStoreIsAway(t *testing.T) {
	l := newFarLab(t, labPeers, "192.0.2.0/24")
	for _, want := range []string{"404 Not Found", "503 Service Unavailable"} {
		if got := status(l.kitchen().call("sip:tgruu.xyz@r;gr")); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		l.store.away = true
	}
}

// aorname = * makes each name one of that peer's.
func TestCallsToAPeerOfAnyAOR(t *testing.T) {
	l := newLab(t, labPeers+"[Gateway]\nauthname = g\nsecret = g\naorname = *\ndefaulthost = 192.0.2.44\n", nil, "192.0.2.0/24")
	if answer := l.kitchen().call("sip:2999@192.0.2.44"); status(answer) != "480 Temporarily Unavailable" {
		t.Errorf("it stands in for itself: %s", answer)
	}
	if answer := l.kitchen().call("sip:2999@r"); !reflect.DeepEqual(contacts(answer), []string{"<sip:2999@192.0.2.44>"}) {
		t.Errorf("got %s", answer)
	}
	l.bind(sipuri.AOR{User: "2999"}, "g", location.Binding{Contact: "sip:x@192.0.2.5"})
	if answer := l.kitchen().call("sip:2999@r"); !reflect.DeepEqual(contacts(answer), []string{"<sip:x@192.0.2.5>;expires=3600"}) {
		t.Errorf("got %s", answer)
	}
}

// A stranger's INVITE is answered once, and Timer G sends nothing more to what may be a
// forged address; a caller's is until the ACK.
func TestNoTimerForStrangers(t *testing.T) {
	l := newLab(t, labPeers, nil)
	l.bindCaller()
	step := func() {
		for range 50 {
			l.now = l.now.Add(100 * time.Millisecond)
			l.finals.Step(l.now)
		}
	}
	c := l.kitchen()
	request := c.request("sip:2001@r")
	if answer := l.send(request); len(answer) > 3*len(request) {
		t.Errorf("%d bytes get %d", len(request), len(answer))
	}
	c.secret = "wrong"
	if got := status(c.call("sip:2001@r")); got != "401 Unauthorized" {
		t.Errorf("got %s", got)
	}
	if step(); l.repeats != 0 {
		t.Errorf("%d answers were sent again", l.repeats)
	}
	if got := status(l.kitchen().call("sip:2001@r")); got != "302 Moved Temporarily" {
		t.Errorf("got %s", got)
	}
	if step(); l.repeats < 2 {
		t.Errorf("%d answers were sent again", l.repeats)
	}
}

// However the kernel says where a datagram came from.
func TestPermittedNetworks(t *testing.T) {
	l := newLab(t, labPeers, nil, "192.0.2.0/24", "fe80::/10")
	for source, want := range map[string]string{
		"192.0.2.9:5060": "404 Not Found", "[::ffff:192.0.2.9]:5060": "404 Not Found", "[fe80::1%eth0]:5060": "404 Not Found",
		"192.0.3.9:5060": "401 Unauthorized", "[2001:db8::1]:5060": "401 Unauthorized",
	} {
		l.flow.Source = netip.MustParseAddrPort(source)
		if got := status(l.send(l.kitchen().request("sip:2999@r"))); got != want {
			t.Errorf("%s gets %s, want %s", source, got, want)
		}
	}
}

// A phone that has registered by its certificate calls by it: From names its own address.
func TestACertificateCalls(t *testing.T) {
	l := newLab(t, labPeers+"[Gate]\nauthname = gate\ncertificate_name = gate.example.com\naorname = 2010\n", nil)
	l.flow.Transport = "TLS"
	l.flow.Certificate = &message.Certificate{Names: []string{"gate.example.com"}, Expires: l.now.Add(time.Hour)}
	l.bind(sipuri.AOR{User: "2010"}, "gate", location.Binding{Contact: "sip:2010@192.0.2.10"})
	l.bind(sipuri.AOR{User: "2002"}, "workshop", location.Binding{Contact: "sip:2002@192.0.2.8"})
	for from, want := range map[string]string{"sip:2010@r.example": "302 Moved Temporarily", "sip:2001@r.example": "401 Unauthorized"} {
		c := l.kitchen()
		c.from = from
		if got := status(l.send(c.request("sip:2002@r"))); got != want {
			t.Errorf("from %s: got %s, want %s", from, got, want)
		}
	}
}

// Whoever has thousands of addresses has not thousands looked up for each of its calls.
func TestACallAsksTheStoreAFewTimes(t *testing.T) {
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprint(3000 + i)
	}
	const last = "3999"
	l := newFarLab(t, labPeers+"[Hall]\nauthname = hall\nsecret = h\naorname = "+strings.Join(names, ", ")+"\n")
	l.bind(sipuri.AOR{User: last}, "hall", location.Binding{Contact: "sip:x@192.0.2.7"})
	for from, want := range map[string]string{
		"sip:" + last + "@r.example": "302 Moved Temporarily", "sip:3998@r.example": "403 Register First", "sip:anonymous@anonymous.invalid": "403 Register First",
	} {
		l.store.asked.Store(0)
		c := l.kitchen()
		c.authname, c.secret, c.from = "hall", "h", from
		if got := status(c.call("sip:" + last + "@r")); got != want || l.store.asked.Load() > 10 {
			t.Errorf("from %s: got %s after asking %d times", from, got, l.store.asked.Load())
		}
	}
}

// What one call asks the store is answered though nothing is before all of it is asked: the
// call takes no longer than one look-up may.
func TestACallAsksTheStoreAtOnce(t *testing.T) {
	for _, test := range []struct {
		name, from string
		permit     []string
		asked      int32
		status     string
	}{
		{"from the last of its names", "sip:3009@r.example", nil, 10, "302 Moved Temporarily"},
		{"from the first of its names", "sip:3000@r.example", nil, 9, "302 Moved Temporarily"},
		{"from none of them", "sip:anonymous@anonymous.invalid", nil, 9, "302 Moved Temporarily"},
		{"who need not be", "sip:3009@r.example", []string{"192.0.2.0/24"}, 1, "302 Moved Temporarily"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newFarLab(t, labPeers+"[Hall]\nauthname = hall\nsecret = h\naorname = 3000, 3001, 3002, 3003, 3004, 3005, 3006, 3007, 3008, 3009\n", test.permit...)
			l.bind(sipuri.AOR{User: "3007"}, "hall", location.Binding{Contact: "sip:x@192.0.2.7"})
			l.bind(sipuri.AOR{User: "2002"}, "workshop", location.Binding{Contact: "sip:a@192.0.2.8"})
			l.store.wanted, l.store.all = test.asked, make(chan struct{})
			c := l.kitchen()
			c.authname, c.secret, c.from = "hall", "h", test.from
			began := time.Now()
			if got := status(c.call("sip:2002@r")); got != test.status || l.store.asked.Load() != test.asked || time.Since(began) > 10*time.Second {
				t.Errorf("got %s after asking %d times, for %v", got, l.store.asked.Load(), time.Since(began))
			}
		})
	}
}
