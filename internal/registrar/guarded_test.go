package registrar_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"sipregd/internal/digest"
	"sipregd/internal/journal"
)

// watchman is a guard that takes down what it is told.
type watchman struct {
	told   []string
	failed bool // something has
	refuse bool // to have credentials looked at
}

func (w *watchman) HasFailed(netip.Addr, time.Time) bool { return w.failed }

func (w *watchman) MayTry(address netip.Addr, _ string, reached bool, _ time.Time) bool {
	w.told = append(w.told, fmt.Sprintf("may %v %v", address, reached))
	return !w.refuse
}

func (w *watchman) Failed(address netip.Addr, authname string, reached bool, _ time.Time) {
	w.told = append(w.told, fmt.Sprintf("failed %v %s %v", address, authname, reached))
}

func (w *watchman) Proved(address netip.Addr, _ time.Time) {
	w.told = append(w.told, fmt.Sprintf("proved %v", address))
}

func TestTheGuardIsTold(t *testing.T) {
	elsewhere := netip.MustParseAddrPort("198.51.100.1:5060")
	for _, test := range []struct {
		name string
		try  func(l *lab)
		want []string
	}{
		{"no credentials", func(l *lab) { l.kitchen().challenge() }, nil},
		{"right", func(l *lab) { l.kitchen().register(kitchenContact).want(200) }, []string{"proved 192.0.2.7"}},
		{"right, and another's address", func(l *lab) { l.phone("7f3a9c", "any;text#at all", "9").register(kitchenContact).want(403) }, []string{"proved 192.0.2.7"}},
		{"a wrong secret", func(l *lab) { l.phone("7f3a9c", "w", "2001").register().want(401) }, []string{"failed 192.0.2.7 7f3a9c true"}},
		{"an authname of nobody", func(l *lab) { l.phone("100", "w", "2001").register().want(401) }, []string{"failed 192.0.2.7 100 true"}},
		{"an algorithm that is not the peer's", func(l *lab) { l.phone("sha", "w", "2001").register().want(401) }, []string{"failed 192.0.2.7 sha true"}},
		{"one for an authname of nobody", func(l *lab) { l.phone("shb", "w", "2001").register().want(401) }, []string{"failed 192.0.2.7 shb true"}},
		{"an old nonce", func(l *lab) {
			p := l.kitchen()
			p.challenge()
			l.pass(time.Hour)
			p.authenticated(kitchenContact).want(401)
		}, nil},
		{"a nonce of ours that went elsewhere", func(l *lab) {
			p := l.phone("100", "w", "2001")
			p.challenge()
			l.source = elsewhere
			p.authenticated().want(401)
		}, []string{"failed 198.51.100.1 100 false"}},
		{"that and a right secret", func(l *lab) {
			p := l.kitchen()
			p.challenge()
			l.source = elsewhere
			p.authenticated(kitchenContact).want(200)
		}, []string{"proved 198.51.100.1"}},
		{"a made up nonce", func(l *lab) {
			p := l.phone("100", "w", "2001")
			p.nonce = "x"
			p.authenticated().want(401)
		}, []string{"failed 192.0.2.7 100 false"}},
		{"a made up nonce on a stream", func(l *lab) {
			l.transport = "TCP"
			p := l.phone("100", "w", "2001")
			p.nonce = "x"
			p.authenticated().want(401)
		}, []string{"failed 192.0.2.7 100 true"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, w := newLab(t, withPeers(labPeers+"[SHA]\nauthname = sha\nsecret = s\naorname = 2009\nalgorithm = SHA-256\n"),
				withAlgorithms(digest.MD5, digest.SHA256)), &watchman{}
			l.registrar.GuardedBy(w)
			test.try(l)
			if !slices.Equal(w.told, test.want) {
				t.Errorf("told %q, want %q", w.told, test.want)
			}
		})
	}
}

// Whether the secret is right, wrong or nobody's: the answer is the same.
func TestCredentialsThatAreNotLookedAt(t *testing.T) {
	var lengths []int
	for _, who := range [][2]string{{"7f3a9c", "any;text#at all"}, {"7f3a9c", "wrong"}, {"8f3a9c", "wrong"}} {
		l, w := newLab(t), &watchman{failed: true, refuse: true}
		l.registrar.GuardedBy(w)
		r := l.phone(who[0], who[1], "2001").register(kitchenContact).want(401)
		if e := l.lastEvent(); e.Reason != journal.TooManyGuesses || e.Authname != who[0] || e.Label != "" {
			t.Errorf("taken down as %+v", e)
		}
		if !slices.Equal(w.told, []string{"may 192.0.2.7 true"}) || r.challenge("stale") != "" {
			t.Errorf("told %q, answered\n%s", w.told, r.text)
		}
		lengths = append(lengths, len(r.text))
	}
	if len(slices.Compact(lengths)) != 1 {
		t.Errorf("answers of %v bytes", lengths)
	}
}

func TestTheGuardIsToldOfACertificate(t *testing.T) {
	l, w := newCertifiedLab(t, "gw1.example.com"), &watchman{}
	l.registrar.GuardedBy(w)
	p := l.phone("", "", "3001")
	l.send(p.request("Contact: <sip:3001@192.0.2.7>")).want(200)
	if !slices.Equal(w.told, []string{"proved 192.0.2.7"}) {
		t.Errorf("told %q", w.told)
	}
}
