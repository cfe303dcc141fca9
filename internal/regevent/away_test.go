package regevent

import (
	"slices"
	"testing"
	"time"
)

// While the store is out of reach nobody is told that phones are gone of which nothing is
// known (RFC 6665 §4.2.1.1: 503), and what is due waits.
func TestWhileTheStoreIsAway(t *testing.T) {
	l := newLab(t)
	l.register(phoneA)
	s := l.kitchen()
	s.begin("Expires: 600")
	l.wait(time.Second)
	l.take()
	l.store.away = true
	for name, other := range map[string]*subscriber{"within the dialog": s, "a new one": l.kitchen()} {
		answer := other.subscribe("Expires: 600")
		if wantStatus(t, answer, 503); field(answer, "Retry-After") == "" {
			t.Errorf("%s: nobody is told when to ask again", name)
		}
	}
	l.store.away = false
	l.register(phoneA, "Expires: 0")
	l.store.away = true
	if l.wait(time.Minute); len(l.sent) > 0 {
		t.Errorf("told while it is not known: %+v", l.sent)
	}
	l.store.away = false
	l.wait(2 * gap)
	if n := l.takeOne(); n.said(t) != "1 partial terminated, sip:a@198.51.100.7 terminated unregistered" {
		t.Errorf("told %s", n.said(t))
	}
}

// A subscription that ends meanwhile ends once the store is back, and that of a peer that
// may watch no more at once.
func TestSubscriptionsThatEndWhileTheStoreIsAway(t *testing.T) {
	for _, test := range []struct {
		name     string
		end      func(*lab)
		away     int // NOTIFYs while it is away
		expected []string
	}{
		{"not refreshed", func(l *lab) { l.wait(700 * time.Second) }, 0, []string{"subscribed", "unsubscribed"}},
		{"its peer is gone", func(l *lab) { l.reload("[Workshop]\nauthname = workshop\nsecret = w\naorname = 2002\n") }, 1,
			[]string{"subscribed", "unsubscribed peer_changed"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			l.kitchen().begin("Expires: 600")
			l.wait(time.Second)
			l.take()
			l.store.away = true
			test.end(l)
			l.wait(time.Second)
			if sent := len(l.take()); sent != test.away {
				t.Errorf("%d NOTIFYs while it is away, want %d", sent, test.away)
			}
			l.store.away = false
			if l.wait(2 * gap); len(l.take()) != 1-test.away || !slices.Equal(l.told(), test.expected) {
				t.Errorf("told %q", l.told())
			}
		})
	}
}
