package registrar_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

// qualifier knows what it is told, and finds some bindings unreachable.
type qualifier struct {
	bound []string
	ids   map[string]uint64 // by Contact
	away  map[uint64]bool
}

func (q *qualifier) Bound(peer *peers.Peer, aor sipuri.AOR, b *location.Binding, now time.Time) {
	q.bound = append(q.bound, fmt.Sprintf("%v %v %s %v", peer, aor, b.Contact, b.NAT))
	if q.ids[strings.Clone(b.Contact)] = b.ID; b.ID == 0 || b.Changed != now {
		q.bound = append(q.bound, "without its ID")
	}
}

func (q *qualifier) Unreachable(id uint64) bool { return q.away[id] }

func (l *lab) qualified() *qualifier {
	q := &qualifier{ids: map[string]uint64{}, away: map[uint64]bool{}}
	l.registrar.QualifiedBy(q)
	return q
}

func TestTheQualifierIsToldOfWhatIsBound(t *testing.T) {
	l := newLab(t)
	q, p := l.qualified(), l.kitchen()
	for _, step := range []struct {
		name, contact string
		want          []string
	}{
		{"added", "Contact: <sip:a@192.0.2.7>", []string{"[Kitchen, 1st floor] 2001 sip:a@192.0.2.7 false"}},
		{"refreshed", "Contact: <sip:a@192.0.2.7>", []string{"[Kitchen, 1st floor] 2001 sip:a@192.0.2.7 false"}},
		{"behind NAT, in the place of the other", "Contact: <sip:b@10.0.0.7>", []string{"[Kitchen, 1st floor] 2001 sip:b@10.0.0.7 true"}},
		{"one that is refreshed, and one that is added", "Contact: <sip:c@x.invalid>, <sip:b@10.0.0.7>",
			[]string{"[Kitchen, 1st floor] 2001 sip:b@10.0.0.7 true", "[Kitchen, 1st floor] 2001 sip:c@x.invalid true"}},
		{"removed", "Contact: <sip:b@10.0.0.7>;expires=0", nil},
		{"refused", "Contact: <sip:d@192.0.2.7>;expires=5", nil},
	} {
		q.bound = nil
		p.register(step.contact)
		if !reflect.DeepEqual(q.bound, step.want) {
			t.Errorf("%s: got %q, want %q", step.name, q.bound, step.want)
		}
	}
}

// An address-of-record has the three Contacts that it may have, a, b and c, and d comes.
func TestWhoMakesRoom(t *testing.T) {
	for _, test := range []struct {
		name, keys, away string // away: who is unreachable
		want             string // who is bound then; empty: 403
	}{
		{"the oldest", "", "", "dbc"},
		{"who is unreachable, before the oldest", "", "b", "dac"},
		{"the oldest of those who are unreachable", "", "bc", "dac"},
		{"whatever remove_unavailable says", "remove_unavailable = no\n", "c", "dab"},
		{"nobody, without remove_existing", "remove_existing = no\n", "b", ""},
		{"nobody who is reachable, with remove_unavailable alone", "remove_existing = no\nremove_unavailable = yes\n", "", ""},
		{"who is unreachable, with remove_unavailable alone", "remove_existing = no\nremove_unavailable = yes\n", "b", "dac"},
		{"no more than have to, with remove_unavailable alone", "remove_existing = no\nremove_unavailable = yes\n", "abc", "dbc"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, withPeers("max_contacts = 3\n"+test.keys+labPeers))
			q, p := l.qualified(), l.kitchen()
			contact := func(name rune) string { return fmt.Sprintf("sip:%c@192.0.2.7", name) }
			for _, name := range "abc" {
				p.register("Contact: <" + contact(name) + ">").want(200)
				l.pass(time.Second)
			}
			for _, name := range test.away {
				q.away[q.ids[contact(name)]] = true
			}
			r := p.register("Contact: <" + contact('d') + ">")
			if test.want == "" {
				r.want(403)
				return
			}
			var want []string
			for _, name := range test.want {
				want = append(want, contact(name)+" 3600")
			}
			got := r.want(200).all("Contact")
			if len(got) != len(want) {
				t.Fatalf("got %q, want %q", got, want)
			}
			for i := range want {
				if uri, _, _ := strings.Cut(want[i], " "); !strings.HasPrefix(got[i], "<"+uri+">") {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
}

// Who has lost the connection that is the way to it goes before the oldest.
func TestWhoHasLostItsConnectionMakesRoom(t *testing.T) {
	l := newLab(t, withPeers("max_contacts = 2\n"+labPeers))
	l.kitchen().register("Contact: <sip:a@192.0.2.7>").want(200)
	l.transport, l.stream = "TCP", 7
	l.kitchen().register("Contact: <sip:b@192.0.2.7;transport=tcp>").want(200)
	l.registrar.FlowEnded(7, l.now)
	l.stream = 8
	l.kitchen().register("Contact: <sip:c@192.0.2.7;transport=tcp>").want(200).
		wantContacts("sip:c@192.0.2.7;transport=tcp 3600", "sip:a@192.0.2.7 3600")
}

// Two that come at once need two places.
func TestTwoNeedTwoPlaces(t *testing.T) {
	l := newLab(t, withPeers("max_contacts = 2\nremove_existing = no\nremove_unavailable = yes\n"+labPeers))
	q, p := l.qualified(), l.kitchen()
	p.register("Contact: <sip:a@192.0.2.7>, <sip:b@192.0.2.7>").want(200)
	q.away[q.ids["sip:a@192.0.2.7"]] = true
	p.register("Contact: <sip:c@192.0.2.7>, <sip:d@192.0.2.7>").want(403)
	q.away[q.ids["sip:b@192.0.2.7"]] = true
	p.register("Contact: <sip:c@192.0.2.7>, <sip:d@192.0.2.7>").want(200)
	p.register("Contact: <sip:e@192.0.2.7>, <sip:f@192.0.2.7>, <sip:g@192.0.2.7>").want(403)
}
