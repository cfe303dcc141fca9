package regevent

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// manyPhones binds as much as may be to what the kitchen watches.
func (l *lab) manyPhones() {
	for _, name := range []string{"a", "b"} {
		l.register("<sip:" + name + "@198.51.100.7>;" + strings.Repeat(name, 1000))
	}
}

// Whatever a datagram claims, the answer and all NOTIFYs for it have at most three times its
// bytes, until somebody has answered one.
func TestNobodyIsFloodedWithNotifies(t *testing.T) {
	for _, test := range []struct {
		name  string
		alter func(text string) string
	}{
		{"from a permitted address", func(text string) string { return text }},
		{"with a Contact elsewhere", func(text string) string {
			return strings.Replace(text, "Contact: <sip:watcher@203.0.113.9:5060>", "Contact: <sip:watcher@198.51.100.99:5060>", 1)
		}},
		{"which somebody has sent on", func(text string) string {
			text = strings.Replace(text, "203.0.113.9:5060;", "203.0.113.9, SIP/2.0/UDP 198.51.100.99;", 1)
			return strings.Replace(text, "Contact: <sip:watcher@203.0.113.9:5060>", "Contact: <sip:watcher@198.51.100.99:5060>", 1)
		}},
		{"once", func(text string) string { return strings.Replace(text, "Max-", "Expires: 0\r\nMax-", 1) }},
		{"as short as can be", func(string) string {
			return "SUBSCRIBE sip:2001@x SIP/2.0\nv:SIP/2.0/UDP h\nf:sip:a;tag=1\nt:sip:a\ni:1\nm:sip:a@h\no:reg\nCSeq:1 SUBSCRIBE\n\n"
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, permitting("203.0.113.0/24"))
			l.manyPhones()
			l.answers = 0
			s := l.kitchen()
			text := test.alter(s.text())
			sent := len(s.receive(text))
			if sent == 0 {
				t.Fatal("no answer")
			}
			l.wait(time.Minute)
			for _, n := range l.take() {
				if sent += len(n.text); n.flow.Source != home {
					t.Errorf("to %v", n.flow.Source)
				}
			}
			if left := l.Counts().Subscriptions; sent > 3*len(text) || left > 0 || l.unreached != 0 {
				t.Errorf("%d bytes are answered with %d; %d are left", len(text), sent, left)
			}
		})
	}
}

// Who has answered is told all, and as often as it takes.
func TestWhoAnswersIsToldAll(t *testing.T) {
	for _, test := range []struct{ expires, first, second string }{
		{"600", "pending;expires=600", "active;expires=600"},
		{"0", "pending;expires=0", "terminated;reason=timeout"},
	} {
		l := newLab(t, permitting("203.0.113.0/24"))
		l.manyPhones()
		l.kitchen().begin("Expires: " + test.expires)
		l.wait(time.Second)
		sent := l.take()
		if len(sent) != 2 || sent[0].field("Subscription-State") != test.first || sent[1].field("Subscription-State") != test.second {
			t.Fatalf("got %+v", sent)
		}
		if got := sent[1].said(t); !strings.HasPrefix(got, "0 full active, ") || strings.Count(got, "sip:") != 2 || sent[1].field("CSeq") != "2 NOTIFY" {
			t.Errorf("told %s", got)
		}
		if test.expires == "0" {
			continue
		}
		l.answers = 0
		l.register("<sip:a@198.51.100.7>")
		if l.wait(40 * time.Second); len(l.take()) < 5 {
			t.Error("it is sent once")
		}
	}
}

// A peer's nonce is good where it was given.
func TestANonceFromElsewhere(t *testing.T) {
	l := newLab(t)
	s := l.kitchen()
	s.subscribe("Expires: 600")
	l.wait(time.Second)
	l.take()
	victim := l.kitchen()
	victim.realm, victim.nonce, victim.nc, victim.flow.Source = s.realm, s.nonce, s.nc, netip.MustParseAddrPort("198.51.100.99:5060")
	text := victim.text(victim.authorization())
	answer := victim.receive(text)
	wantStatus(t, answer, 401)
	if l.wait(time.Minute); len(l.take()) > 0 || len(answer) > 3*len(text) || !strings.Contains(answer, "stale=true") {
		t.Errorf("got %s", answer)
	}
	wantStatus(t, victim.subscribe(), 200)
}

// Forged datagrams of a permitted network leave room for those who are there.
func TestTheForgedLeaveRoom(t *testing.T) {
	l := newLab(t, permitting("203.0.113.0/24"), func(o *Options) { o.PerAOR, o.MaxSubscriptions = 1000, 40 })
	l.answers = 0
	refused := 0
	for i := range 100 {
		s := l.subscriber("", "", "2001")
		s.flow.Source = netip.MustParseAddrPort(fmt.Sprintf("203.0.113.%d:5060", i))
		if strings.HasPrefix(s.subscribe(), "SIP/2.0 503 ") {
			refused++
		}
	}
	if refused != 90 {
		t.Errorf("%d were refused", refused)
	}
	s := l.kitchen()
	s.flow.Source = netip.MustParseAddrPort("198.51.100.8:5060")
	wantStatus(t, s.subscribe(), 200)
	l.answers = 200
	l.wait(40 * time.Second)
	for range 15 { // each of which answers
		wantStatus(t, l.subscriber("", "", "2001").subscribe(), 200)
		l.wait(time.Second)
	}
}

// RFC 6665 §4.2.2: an answer that says when to try again is no failure.
func TestRetryAfter(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers int
		says    string
		stays   bool
	}{
		{"503", 503, "Retry-After: 30\r\n", true},
		{"500", 500, "Retry-After: 30 (busy);duration=9\r\n", true},
		{"without a time", 503, "", false},
		{"a dialog that is none", 481, "Retry-After: 30\r\n", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			l.kitchen().begin("Expires: 600")
			l.wait(time.Second)
			l.take()
			l.answers, l.says = test.answers, test.says
			l.register(phoneA)
			l.wait(10 * time.Second)
			l.takeOne()
			if stays := l.Counts().Subscriptions == 1; stays != test.stays {
				t.Fatalf("it stays: %v", stays)
			}
			if !test.stays {
				return
			}
			l.answers, l.says = 200, ""
			if l.wait(15 * time.Second); len(l.take()) > 0 {
				t.Error("told before its time")
			}
			l.wait(10 * time.Second)
			if n := l.takeOne(); n.said(t) != "2 full active, sip:a@198.51.100.7 active registered" {
				t.Errorf("told %s", n.said(t))
			}
			l.answers, l.says = 503, "Retry-After: 3000\r\n"
			l.register(phoneB)
			l.wait(700 * time.Second)
			if l.Counts().Subscriptions != 0 {
				t.Error("it outlives its time")
			}
		})
	}
}
