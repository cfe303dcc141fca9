package regevent

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// The dialog of a NOTIFY is that of its SUBSCRIBE, seen from the other side (RFC 3261
// §12.2.1.1).
func TestNotifyIsOfTheDialog(t *testing.T) {
	l := newLab(t)
	s := l.kitchen()
	s.event = "reg;id=a7"
	s.begin("Record-Route: <sip:203.0.113.9;lr>", "Expires: 600")
	l.wait(time.Second)
	n := l.takeOne()
	for name, want := range map[string]string{
		"From": "<sip:2001@example.com>;tag=" + s.tag, "To": "<sip:2001@example.com>;tag=from-" + s.callID, "Call-ID": s.callID,
		"CSeq": "1 NOTIFY", "Route": "<sip:203.0.113.9;lr>", "Contact": "<sip:192.0.2.1:5060>", "Event": "reg;id=a7",
		"Subscription-State": "active;expires=600", "Content-Type": "application/reginfo+xml", "Max-Forwards": "70",
	} {
		if got := n.field(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(n.text, "NOTIFY sip:watcher@203.0.113.9:5060 SIP/2.0\r\n") || n.said(t) != "0 full init" {
		t.Errorf("got:\n%s", n.text)
	}
	if n.after < firstDelay || n.after > time.Second/2 {
		t.Errorf("after %v", n.after)
	}
}

// What becomes of bindings is told in the words of RFC 3680 §4.7.1.
func TestChanges(t *testing.T) {
	for _, test := range []struct {
		name   string
		before string // what is bound when it begins, and refreshed
		change func(l *lab)
		want   string // is told of it
	}{
		{"registered", "", func(l *lab) { l.register(phoneA) }, "partial active, sip:a@198.51.100.7 active registered"},
		{"another", phoneA, func(l *lab) { l.register(phoneB) }, "partial active, sip:b@198.51.100.7 active registered"},
		{"refreshed", phoneA, func(l *lab) { l.register(phoneA) }, "partial active, sip:a@198.51.100.7 active refreshed"},
		{"refreshed for a shorter time", phoneA, func(l *lab) { l.register(phoneA, "Expires: 60") }, "partial active, sip:a@198.51.100.7 active refreshed"},
		{"unregistered", phoneA, func(l *lab) { l.register(phoneA, "Expires: 0") }, "partial terminated, sip:a@198.51.100.7 terminated unregistered"},
		{"one of two unregistered", phoneA + ", " + phoneB, func(l *lab) { l.register(phoneA, "Expires: 0") },
			"partial active, sip:a@198.51.100.7 terminated unregistered"},
		{"all unregistered", phoneA + ", " + phoneB, func(l *lab) { l.register("*", "Expires: 0") },
			"partial terminated, sip:a@198.51.100.7 terminated unregistered, sip:b@198.51.100.7 terminated unregistered"},
		{"removed by the administrator", phoneA, func(l *lab) {
			if _, err := l.registrar.Remove(aor, []uint64{l.store.Bindings(aor, l.now)[0].ID}, l.now); err != nil {
				l.t.Error(err)
			}
		}, "partial terminated, sip:a@198.51.100.7 terminated deactivated"},
		{"made room, as max_contacts is 2", phoneA + ", " + phoneB, func(l *lab) { l.registerAs("kitchen", "k", "2001", "third", "<sip:c@198.51.100.7>") },
			"partial active, sip:c@198.51.100.7 active registered, sip:a@198.51.100.7 terminated probation"},
		{"moved", `<sip:a@198.51.100.7>;+sip.instance="<urn:uuid:1>"`, func(l *lab) { l.register(`<sip:a@198.51.100.8>;+sip.instance="<urn:uuid:1>"`) },
			"partial active, sip:a@198.51.100.8 active registered, sip:a@198.51.100.7 terminated unregistered"},
		{"expired", phoneA, func(l *lab) { l.wait(3601 * time.Second) }, "partial terminated, sip:a@198.51.100.7 terminated expired"},
		{"gone and there again", phoneA, func(l *lab) {
			l.register(phoneA, "Expires: 0")
			l.register(phoneA)
		}, "partial active, sip:a@198.51.100.7 active registered, sip:a@198.51.100.7 terminated unregistered"},
		{"nothing that is left", "", func(l *lab) {
			l.register(phoneA)
			l.register(phoneA, "Expires: 0")
		}, ""},
		{"nothing", phoneA, func(l *lab) { l.registerAs("workshop", "w", "2002", "w", phoneA) }, ""},
		{"removed by nobody who is known", phoneA, func(l *lab) {
			l.store.RemoveIf(func(sipuri.AOR, *location.Binding) bool { return true }, nil)
			l.changes.touch(aor)
		}, "partial terminated, sip:a@198.51.100.7 terminated deactivated"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			if test.before != "" {
				l.register(test.before)
			}
			l.kitchen().begin()
			l.wait(10 * time.Second)
			if first := l.takeOne(); !strings.HasPrefix(first.said(t), "0 full ") {
				t.Errorf("first %s", first.said(t))
			}
			test.change(l)
			l.wait(time.Second)
			if test.want == "" {
				if len(l.sent) > 0 {
					t.Errorf("told %s", l.sent[0].said(t))
				}
				return
			}
			if n := l.takeOne(); n.said(t) != "1 "+test.want {
				t.Errorf("told %s, want %s", n.said(t), test.want)
			}
		})
	}
}

// A change of peers.conf takes an address from a phone, and from who watches it.
func TestReload(t *testing.T) {
	for _, test := range []struct{ name, peers, want, state string }{
		{"the peer is gone", "[Other]\nauthname = o\nsecret = o\naorname = 2001\n", "rejected", "terminated;reason=rejected"},
		{"the secret is another", strings.Replace(labPeers, "secret = k", "secret = other", 1), "deactivated", "terminated;reason=rejected"},
		{"all stays", labPeers, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, permitting("203.0.113.77/32"))
			l.register(phoneA)
			l.kitchen().begin()
			pbx := l.subscriber("", "", "2001")
			pbx.flow.Source, pbx.contact = netip.MustParseAddrPort("203.0.113.77:5060"), "<sip:pbx@203.0.113.77>"
			pbx.begin()
			l.wait(10 * time.Second)
			l.take()
			l.reload(test.peers)
			l.wait(10 * time.Second)
			sent := l.take()
			if test.want == "" {
				if len(sent) > 0 {
					t.Errorf("told %+v", sent)
				}
				return
			}
			if len(sent) != 2 {
				t.Fatalf("told %+v", sent)
			}
			for _, n := range sent {
				if n.flow.Source == home { // it may know nothing more
					if n.field("Subscription-State") != test.state || n.field("Content-Length") != "0" || n.field("Content-Type") != "" {
						t.Errorf("got:\n%s", n.text)
					}
				} else if want := "1 partial terminated, sip:a@198.51.100.7 terminated " + test.want; n.said(t) != want {
					t.Errorf("told %s, want %s", n.said(t), want)
				}
			}
			if l.Counts().Subscriptions != 1 {
				t.Errorf("got %+v", l.Counts())
			}
		})
	}
}

func TestDocument(t *testing.T) {
	l := newLab(t)
	l.register(`<sip:a@198.51.100.7;x=%3c&y>;q=0.5;+sip.instance="<urn:uuid:1>";audio;methods="INVITE,ACK"`)
	s := l.kitchen()
	s.to = "sip:2001@Example.com;user=phone"
	s.begin()
	l.wait(time.Second)
	n := l.takeOne()
	d := n.document(t)
	b := l.store.Bindings(aor, l.now)[0]
	want := contact{
		ID: fmt.Sprint(b.ID), State: "active", Event: registered, Expires: 3600, Q: "0.5", CallID: "phone", CSeq: b.CSeq, URI: b.Contact,
		Params: []unknownParam{{"+sip.instance", `"<urn:uuid:1>"`}, {"audio", ""}, {"methods", `"INVITE,ACK"`}},
	}
	if got := d.Registration; len(got.Contacts) != 1 || fmt.Sprint(got.Contacts[0]) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got.Contacts, want)
	}
	if d.Registration.AOR != "sip:2001@Example.com" {
		t.Errorf("the address is %s", d.Registration.AOR)
	}
	l.register(phoneB, "Expires: 0")
	l.register(`<sip:a@198.51.100.7;x=%3c&y>`, "Expires: 0")
	l.wait(10 * time.Second)
	n = l.takeOne()
	again := n.document(t)
	if again.Registration.ID != d.Registration.ID || again.Registration.Contacts[0].ID != want.ID {
		t.Errorf("the IDs were %s and %s:\n%s", d.Registration.ID, want.ID, n.text)
	}
}

// §4.10: not more often than each 5 seconds, with all that has happened meanwhile.
func TestChangesAreGathered(t *testing.T) {
	l := newLab(t)
	l.kitchen().begin()
	l.wait(time.Second)
	l.take()
	for range 100 {
		l.register(phoneA)
		l.wait(100 * time.Millisecond)
	}
	sent := l.take()
	if len(sent) != 2 {
		t.Errorf("%d NOTIFYs in 10 s", len(sent))
	}
	for i := range sent[1:] {
		if between := sent[i+1].after - sent[i].after; between < gap {
			t.Errorf("%v between two", between)
		}
	}
	l.wait(10 * time.Second)
	if n := l.takeOne(); n.field("CSeq") != "4 NOTIFY" || n.document(t).Version != 3 {
		t.Errorf("got:\n%s", n.text)
	}
}

// A NOTIFY that fails ends the subscription (RFC 6665 §4.2.2).
func TestFailures(t *testing.T) {
	for _, test := range []struct {
		name, transport string
		answers         int
		fails           error
		want            string
	}{
		{"no answer", "UDP", 0, nil, "no_answer"},
		{"481", "UDP", 481, nil, "notify_refused"},
		{"503", "TCP", 503, nil, "notify_refused"},
		{"the connection is gone", "TCP", 0, errGone, "stream_gone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			s := l.kitchen()
			s.flow.Transport = test.transport
			if test.transport == "TCP" {
				s.flow.Stream = 7
			}
			s.begin()
			l.wait(time.Second)
			if l.Carries(7) != (test.transport == "TCP") {
				t.Error("the connection may be closed")
			}
			l.take()
			l.answers, l.fails = test.answers, test.fails
			l.register(phoneA)
			l.wait(40 * time.Second)
			if n := len(l.take()); test.want == "no_answer" && n < 5 || test.want != "no_answer" && n != 1 {
				t.Errorf("sent %d times", n)
			}
			if got := strings.Join(l.told(), ", "); got != "subscribed, unsubscribed "+test.want {
				t.Errorf("told %s", got)
			}
			l.register(phoneA)
			l.wait(10 * time.Second)
			if n := l.Counts(); len(l.sent) > 0 || n.Subscriptions != 0 || n.Failed != 1 || l.Carries(7) || len(l.turns)+len(l.resources)+len(l.peers)+len(l.dialogs) > 0 {
				t.Errorf("sent %d, left %+v", len(l.sent), n)
			}
			l.answers, l.fails = 200, nil
			wantStatus(t, s.subscribe(), 481)
		})
	}
}

// NOTIFYs go to where the SUBSCRIBE says, where that is no name and nobody else's address;
// else back to where it came from.
func TestWhereTo(t *testing.T) {
	for _, test := range []struct {
		name, transport, via, contact, route, want string
	}{
		{"at its Contact", "UDP", "203.0.113.9:5062", "sip:w@203.0.113.9:5070", "", "203.0.113.9:5070"},
		{"at the usual port", "UDP", "203.0.113.9:5062", "sip:w@203.0.113.9", "", "203.0.113.9:5060"},
		{"behind NAT", "UDP", "10.0.0.7:5060", "sip:w@10.0.0.7", "", "203.0.113.9:40000"},
		{"behind NAT, with STUN", "UDP", "10.0.0.7:5060", "sip:w@203.0.113.9:5070", "", "203.0.113.9:40000"},
		{"a name", "UDP", "203.0.113.9:5062", "sip:w@pbx.example.com", "", "203.0.113.9:40000"},
		{"another's address", "UDP", "203.0.113.9:5062", "sip:w@198.51.100.99", "", "203.0.113.9:40000"},
		{"over TCP alone", "UDP", "203.0.113.9:5062", "sip:w@203.0.113.9:5070;transport=tcp", "", "203.0.113.9:40000"},
		{"by its connection", "TCP", "203.0.113.9:5062", "sip:w@203.0.113.9:5070", "", "203.0.113.9:40000"},
		{"by a proxy", "UDP", "203.0.113.9:5062, SIP/2.0/UDP 10.0.0.7", "sip:w@10.0.0.7", "<sip:203.0.113.9:5080;lr>", "203.0.113.9:5080"},
		{"by a proxy that has another address too", "UDP", "203.0.113.9:5062, SIP/2.0/UDP 10.0.0.7", "sip:w@10.0.0.7", "<sip:198.51.100.9;lr>", "203.0.113.9:40000"},
		{"by a proxy that does not stay", "UDP", "203.0.113.9:5062, SIP/2.0/UDP 198.51.100.20", "sip:w@198.51.100.20:5090", "", "203.0.113.9:40000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, permitting("203.0.113.9/32"))
			s := l.kitchen()
			s.flow.Source, s.flow.Transport, s.contact = netip.MustParseAddrPort("203.0.113.9:40000"), test.transport, "<"+test.contact+">"
			text := strings.Replace(s.text(), "203.0.113.9:5060", test.via, 1)
			if test.route != "" {
				text = strings.Replace(text, "\r\nEvent", "\r\nRecord-Route: "+test.route+"\r\nEvent", 1)
			}
			wantStatus(t, s.receive(text), 200)
			l.wait(time.Second)
			if n := l.takeOne(); n.flow.Source != netip.MustParseAddrPort(test.want) || n.field("Route") != test.route {
				t.Errorf("to %v:\n%s", n.flow.Source, n.text)
			}
		})
	}
}

// Those who watch are told when the daemon ends, so that they subscribe with the next one.
func TestTheEnd(t *testing.T) {
	l := newLab(t)
	s := l.kitchen()
	s.begin()
	l.wait(time.Second)
	l.take()
	l.takeLeave()
	if n := l.takeOne(); n.field("Subscription-State") != "terminated;reason=deactivated" || n.field("CSeq") != "2 NOTIFY" {
		t.Errorf("got:\n%s", n.text)
	}
	for name, late := range map[string]*subscriber{"another": l.kitchen(), "a refresh": s} {
		answer := late.subscribe()
		if wantStatus(t, answer, 503); field(answer, "Retry-After") == "" {
			t.Errorf("%s is not to come again", name)
		}
	}
	if n := l.Counts(); n.Subscriptions != 1 {
		t.Errorf("%+v", n)
	}
}

// Who steps just when a step is due misses nothing.
func TestStepsTellWhenTheNextIsDue(t *testing.T) {
	l := newLab(t)
	if next := l.Step(l.now); !next.IsZero() {
		t.Errorf("next at %v, with nobody there", next)
	}
	l.register(phoneA)
	l.kitchen().begin("Expires: 600")
	for steps := 0; l.Counts().Subscriptions > 0; steps++ {
		next := l.Step(l.now)
		if isIdle := next.IsZero() && len(l.wake) == 0; steps > 10 || isIdle && l.Counts().Subscriptions > 0 {
			t.Fatalf("after %d steps the next is at %v", steps, next)
		}
		if len(l.wake) > 0 {
			<-l.wake
			continue
		}
		l.now = next
	}
	if sent := l.take(); len(sent) != 2 {
		t.Errorf("sent %+v", sent)
	}
}

// Texts of a request are good until it is answered.
func TestNothingIsKeptOfARequest(t *testing.T) {
	l := newLab(t, permitting("203.0.113.0/24"))
	s := l.kitchen()
	data := []byte(s.text("Record-Route: <sip:203.0.113.9;lr>"))
	l.layer.Receive(nil, data, s.flow, l.now)
	for i := range data {
		data[i] = '#'
	}
	l.wait(time.Second)
	if n := l.takeOne(); strings.Contains(n.text, "#") {
		t.Errorf("got:\n%s", n.text)
	}
}

// What a change costs where nobody watches that address.
func BenchmarkNote(b *testing.B) {
	l := newLab(b)
	l.kitchen().begin()
	e := l.events[0]
	e.Kind, e.AOR = 1, sipuri.AOR{User: "2002"}
	b.ReportAllocs()
	for b.Loop() {
		l.changes.note(&e)
	}
}
