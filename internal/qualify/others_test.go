package qualify

import (
	"strings"
	"testing"
	"time"

	"sipregd/internal/location"
)

func at(node string) func(*location.Binding) {
	return func(b *location.Binding) { b.Node = node }
}

// Each node asks the phones whose flow is there.
func TestPhonesOfOtherNodesAreNotAsked(t *testing.T) {
	l := newLab(t, "qualify_frequency = 10")
	l.bound("2001", at("here"))
	l.bound("2002", at("there"))
	l.Node = "here"
	l.Qualifier = New(l.Options) // another life
	l.wait(30 * time.Second)
	for _, s := range l.sent {
		if strings.Contains(s.text, "2002") {
			t.Fatalf("asked: %s", s.text)
		}
	}
	if len(l.sent) < 2 {
		t.Errorf("%d were asked", len(l.sent))
	}
}

// A phone that has gone to another node while it was asked is neither told of nor asked
// again.
func TestAPhoneThatHasGoneToAnotherNode(t *testing.T) {
	l := newLab(t, "qualify_frequency = 10")
	l.Node, l.answers = "here", false
	b := l.bound("2001", at("here"))
	for len(l.sent) == 0 {
		l.wait(tick)
	}
	l.thereupon = nil
	b.Node = "there"
	if err := l.store.Update(aor, l.now, func([]location.Binding) ([]location.Binding, error) { return []location.Binding{b}, nil }, nil); err != nil {
		t.Fatal(err)
	}
	l.wait(10 * time.Second)
	sent := len(l.sent)
	l.wait(2 * time.Minute)
	if len(l.events) > 0 || len(l.sent) != sent {
		t.Errorf("told %v, sent %d, then %d", l.told(), sent, len(l.sent))
	}
	if _, known := l.Status(b.ID); known {
		t.Error("it is not forgotten")
	}
}

// What leads to this node is none of the phone's business (RFC 5626 §5.3).
func TestTheWayToThisNodeIsNoRoute(t *testing.T) {
	for path, want := range map[string]string{
		"<sip:here.example;lr>":                       "",
		"<sip:here.example;lr>,<sip:edge.example;lr>": "<sip:edge.example;lr>",
		"<sip:edge.example;lr>":                       "<sip:edge.example;lr>",
		"<sip:edge.example;lr>,<sip:here.example;lr>": "<sip:edge.example;lr>,<sip:here.example;lr>",
		"": "",
	} {
		q := &Qualifier{Options: Options{Outbound: "<sip:here.example;lr>"}}
		if got := q.routeTo(&location.Binding{Path: path}); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}
