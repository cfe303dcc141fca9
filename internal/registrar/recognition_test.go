package registrar_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

const (
	instanceA = `;+sip.instance="<urn:uuid:00000000-0000-1000-8000-00AA00000001>"`
	instanceB = `;+sip.instance="<urn:uuid:00000000-0000-1000-8000-00AA00000002>"`
)

// A second REGISTER after a first one, and what the AOR is bound to then. Phones of the
// table come from 192.0.2.7:5060, which is where those that are not behind NAT say that
// they are.
func TestAPhoneIsRecognised(t *testing.T) {
	const supported = "Supported: path, outbound, gruu"
	const natted = "sip:2001@10.0.0.4:5060"
	for _, test := range []struct {
		name          string
		peer          string
		first, second []string
		otherCallID   bool
		want          []string
	}{
		{name: "by its instance ID, at another address",
			first: []string{"Contact: <sip:2001@192.0.2.7>" + instanceA}, second: []string{"Contact: <sip:2001@192.0.2.7:5062>" + instanceA},
			otherCallID: true, want: []string{"sip:2001@192.0.2.7:5062 3600"}},
		{name: "by its instance ID in another case",
			first:       []string{"Contact: <sip:2001@192.0.2.7>" + instanceA},
			second:      []string{`Contact: <sip:2001@192.0.2.7:5062>;+SIP.instance="<urn:uuid:00000000-0000-1000-8000-00aa00000001>"`},
			otherCallID: true, want: []string{"sip:2001@192.0.2.7:5062 3600"}},
		{name: "by its flow", otherCallID: true,
			first:  []string{supported, "Contact: <sip:2001@192.0.2.7>;reg-id=1" + instanceA},
			second: []string{supported, "Contact: <sip:2001@192.0.2.7:5062>;reg-id=1" + instanceA}, want: []string{"sip:2001@192.0.2.7:5062 3600"}},
		{name: "but another flow of it is another binding", otherCallID: true,
			first:  []string{supported, "Contact: <sip:2001@192.0.2.7>;reg-id=1" + instanceA},
			second: []string{supported, "Contact: <sip:2001@192.0.2.7>;reg-id=2" + instanceA},
			want:   []string{"sip:2001@192.0.2.7 3600", "sip:2001@192.0.2.7 3600"}},
		{name: "not by reg-id that nobody said to support", otherCallID: true,
			first:  []string{"Contact: <sip:2001@192.0.2.7>;reg-id=1" + instanceA},
			second: []string{"Contact: <sip:2001@192.0.2.7:5062>;reg-id=2" + instanceA}, want: []string{"sip:2001@192.0.2.7:5062 3600"}},
		{name: "and its flows make room for it without outbound", otherCallID: true,
			first:  []string{supported, "Contact: <sip:2001@192.0.2.7>;reg-id=1" + instanceA},
			second: []string{"Contact: <sip:2001@192.0.2.7:5062>" + instanceA}, want: []string{"sip:2001@192.0.2.7:5062 3600"}},
		{name: "by equality of URIs, whatever became of its instance ID", otherCallID: true,
			first:  []string{"Contact: <sip:2001@192.0.2.7>" + instanceA},
			second: []string{"Contact: <sip:2001@192.0.2.7>" + instanceB}, want: []string{"sip:2001@192.0.2.7 3600"}},
		{name: "but behind NAT equal URIs may be two phones", otherCallID: true,
			first:  []string{"Contact: <" + natted + ">" + instanceA},
			second: []string{"Contact: <" + natted + ">" + instanceB}, want: []string{natted + " 3600", natted + " 3600"}},
		{name: "behind NAT by equality of URIs", otherCallID: true,
			first: []string{"Contact: <" + natted + ">"}, second: []string{"Contact: <" + natted + ">"}, want: []string{natted + " 3600"}},
		{name: "behind NAT by its Call-ID",
			first: []string{"Contact: <" + natted + ">"}, second: []string{"Contact: <sip:2001@203.0.113.9:40123>"},
			want: []string{"sip:2001@203.0.113.9:40123 3600"}},
		{name: "not by its Call-ID elsewhere",
			first: []string{"Contact: <sip:2001@192.0.2.7>"}, second: []string{"Contact: <sip:other@192.0.2.7>"},
			want: []string{"sip:other@192.0.2.7 3600", "sip:2001@192.0.2.7 3600"}},
		{name: "by its Call-ID where the peer says so", peer: "recognize_phone = yes",
			first: []string{"Contact: <sip:2001@192.0.2.7>"}, second: []string{"Contact: <sip:other@192.0.2.7>"},
			want: []string{"sip:other@192.0.2.7 3600"}},
		{name: "never, where the peer says so", peer: "recognize_phone = no",
			first: []string{"Contact: <" + natted + ">"}, second: []string{"Contact: <sip:2001@10.0.0.5>"},
			want: []string{"sip:2001@10.0.0.5 3600", natted + " 3600"}},
		{name: "behind NAT by its push token", otherCallID: true,
			first:  []string{"Contact: <sip:2001@10.0.0.4;pn-provider=fcm;pn-prid=Tok3nOfThisPhone;pn-param=app>"},
			second: []string{"Contact: <sip:2001@10.0.0.5;pn-provider=fcm;pn-prid=Tok3nOfThisPhone;pn-param=app>"},
			want:   []string{"sip:2001@10.0.0.5;pn-provider=fcm;pn-prid=Tok3nOfThisPhone;pn-param=app 3600"}},
		{name: "behind NAT by line", otherCallID: true,
			first: []string{"Contact: <sip:2001@10.0.0.4;line=l7n6h4y1>"}, second: []string{"Contact: <sip:2001@10.0.0.5;line=l7n6h4y1>"},
			want: []string{"sip:2001@10.0.0.5;line=l7n6h4y1 3600"}},
		{name: "behind NAT by rinstance", otherCallID: true,
			first: []string{"Contact: <sip:2001@10.0.0.4;rinstance=8f3a11bc>"}, second: []string{"Contact: <sip:2001@10.0.0.5;rinstance=8f3a11bc>"},
			want: []string{"sip:2001@10.0.0.5;rinstance=8f3a11bc 3600"}},
		{name: "not by another rinstance", otherCallID: true,
			first: []string{"Contact: <sip:2001@10.0.0.4;rinstance=8f3a11bc>"}, second: []string{"Contact: <sip:2001@10.0.0.5;rinstance=8F3A11BC>"},
			want: []string{"sip:2001@10.0.0.5;rinstance=8F3A11BC 3600", "sip:2001@10.0.0.4;rinstance=8f3a11bc 3600"}},
		{name: "not by a line that many have", otherCallID: true,
			first: []string{"Contact: <sip:2001@10.0.0.4;line=1>"}, second: []string{"Contact: <sip:2001@10.0.0.5;line=1>"},
			want: []string{"sip:2001@10.0.0.5;line=1 3600", "sip:2001@10.0.0.4;line=1 3600"}},
		{name: "two Contacts of one request stay two",
			first:  []string{"Contact: <sip:2001@10.0.0.4>, <sip:2001@10.0.0.4;transport=tcp>"},
			second: []string{"Contact: <sip:2001@10.0.0.4>, <sip:2001@10.0.0.4;transport=tcp>"},
			want:   []string{"sip:2001@10.0.0.4 3600", "sip:2001@10.0.0.4;transport=tcp 3600"}},
		{name: "two Contacts of one instance stay two", otherCallID: true,
			first:  []string{"Contact: <sip:2001@192.0.2.7>" + instanceA + ", <sip:2001@192.0.2.7;transport=tcp>" + instanceA},
			second: []string{"Contact: <sip:2001@192.0.2.7>" + instanceA + ", <sip:2001@192.0.2.7;transport=tcp>" + instanceA},
			want:   []string{"sip:2001@192.0.2.7 3600", "sip:2001@192.0.2.7;transport=tcp 3600"}},
		{name: "to unregister takes an equal URI",
			first: []string{"Contact: <sip:2001@10.0.0.4>"}, second: []string{"Contact: <sip:2001@10.0.0.5>;expires=0"},
			want: []string{"sip:2001@10.0.0.4 3600"}},
		{name: "a phone that has not moved unregisters what it had before, not what it has", otherCallID: true,
			first: []string{"Contact: <sip:2001@192.0.2.7>" + instanceA}, second: []string{"Contact: <sip:2001@192.0.2.7:5062>;expires=0" + instanceA},
			want: []string{"sip:2001@192.0.2.7 3600"}},
		{name: "to unregister a flow takes its number", otherCallID: true,
			first:  []string{supported, "Contact: <sip:2001@10.0.0.4>;reg-id=1" + instanceA},
			second: []string{supported, "Contact: <sip:2001@10.0.0.5>;expires=0;reg-id=1" + instanceA}, want: nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, withPeers(test.peer+labPeers))
			p := l.kitchen()
			p.register(test.first...).want(200)
			if test.otherCallID {
				p = l.kitchen()
			}
			p.register(test.second...).want(200).wantContacts(test.want...)
		})
	}
}

// Another peer of the same AOR is another phone, however alike they look.
func TestAPhoneOfAnotherPeerIsNotRecognised(t *testing.T) {
	l := newLab(t)
	l.kitchen().register("Contact: <sip:2001@10.0.0.4;line=l7n6h4y1>").want(200)
	other := l.phone("workshop", "w", "2001")
	other.callID, other.cseq = "call-1", 10
	other.register("Contact: <sip:2001@10.0.0.5;line=l7n6h4y1>").want(200)
	l.wantBound("2001", 2)
}

// A phone that writes the address into Contact and Via that the registrar saw: nothing
// tells that it is behind NAT, but for what becomes of its port.
func TestAPhoneThatLearnedItsAddressIsRecognised(t *testing.T) {
	for _, test := range []struct {
		name          string
		from, contact string
		want          int
	}{
		{"with another port", "192.0.2.7:40001", "sip:2001@192.0.2.7:40001", 1},
		{"a Contact that is not where it comes from", "192.0.2.7:40001", "sip:2001@192.0.2.7:6000", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			p := l.kitchen()
			l.source = netip.MustParseAddrPort("192.0.2.7:40000")
			p.register("Contact: <sip:2001@192.0.2.7:40000>").want(200)
			l.source = netip.MustParseAddrPort(test.from)
			p.register("Contact: <" + test.contact + ">").want(200)
			l.wantBound("2001", test.want)
		})
	}
}

// A phone that has moved unregisters by its instance ID.
func TestAPhoneThatMovedUnregisters(t *testing.T) {
	l := newLab(t)
	l.kitchen().register("Contact: <sip:2001@10.0.0.4>" + instanceA).want(200)
	l.source = netip.MustParseAddrPort("192.0.2.8:5060")
	l.kitchen().register("Contact: <sip:2001@10.0.0.5>;expires=0" + instanceB).want(200)
	l.wantBound("2001", 1)
	l.kitchen().register("Contact: <sip:2001@10.0.0.5>;expires=0" + instanceA).want(200)
	l.wantBound("2001", 0)
}

// What a gateway binds over one connection, and ever other addresses, is bounded.
func TestAConnectionKeepsABoundedNumberOfNames(t *testing.T) {
	const count = 5000
	l := newLab(t, withPeers("[Gateway]\nauthname = gw\nsecret = g\naorname = *\n"), withJournal(silent{}))
	l.transport, l.stream = "TCP", 7
	for i := range count {
		l.phone("gw", "g", fmt.Sprint(i)).register("Contact: <sip:gw@192.0.2.7;transport=tcp>").want(200)
	}
	if _, bindings := l.store.Count(); bindings != count {
		t.Fatalf("%d bindings", bindings)
	}
	l.store.RemoveIf(func(aor sipuri.AOR, _ *location.Binding) bool { return aor.User != fmt.Sprint(count-1) }, nil)
	if !l.registrar.Carries(7, l.now) {
		t.Error("a connection is given up over which a binding is reached")
	}
	l.registrar.FlowEnded(7, l.now)
	l.pass(time.Minute)
	l.registrar.RemoveFlowless(l.now)
	if _, bindings := l.store.Count(); bindings != 0 {
		t.Errorf("%d bindings are left", bindings)
	}
}

func TestWhatTakesThePlaceOfABindingIsTakenDown(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.register("Contact: <sip:2001@10.0.0.4>").want(200)
	p.register("Contact: <sip:2001@10.0.0.5>").want(200)
	gone, added := l.events[len(l.events)-2], l.lastEvent()
	if gone.Kind != journal.Replaced || gone.Reason != journal.ByItself || gone.Contact != "sip:2001@10.0.0.4" {
		t.Errorf("taken down as %+v", gone)
	}
	if added.Kind != journal.Added || added.Contact != "sip:2001@10.0.0.5" {
		t.Errorf("taken down as %+v", added)
	}
}

// A request that is not newer than the binding whose place it would take changes
// nothing (§10.3 step 7).
func TestARecognisedPhoneCountsOn(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.register("Contact: <sip:2001@10.0.0.4>").want(200)
	p.challenge()
	p.cseq = 0
	p.authenticated("Contact: <sip:2001@10.0.0.5>").want(500)
	p.cseq = 10
	p.register().want(200).wantContacts("sip:2001@10.0.0.4 3600")
}

func TestAPhoneBehindNATIsSeen(t *testing.T) {
	for _, test := range []struct {
		name      string
		transport string
		source    string // as 192.0.2.7:5060
		lines     []string
		want      bool
	}{
		{name: "where it says", lines: []string{"Contact: <sip:2001@192.0.2.7>"}},
		{name: "where it says, with its port", source: "192.0.2.7:5060", lines: []string{"Contact: <sip:2001@192.0.2.7:5060>"}},
		{name: "a private Contact", lines: []string{"Contact: <sip:2001@10.0.0.4>"}, want: true},
		{name: "another public Contact", lines: []string{"Contact: <sip:2001@198.51.100.4>"}, want: true},
		{name: "another port", lines: []string{"Contact: <sip:2001@192.0.2.7:5062>"}},
		{name: "another port of a stream", transport: "TCP", lines: []string{"Contact: <sip:2001@192.0.2.7:5062;transport=tcp>"}},
		{name: "another Contact over a stream", transport: "TLS", lines: []string{"Contact: <sips:2001@10.0.0.4:5062>"}, want: true},
		{name: "no address at all", transport: "WSS", lines: []string{"Contact: <sip:q2@df7jal23ls0d.invalid;transport=ws>"}, want: true},
		{name: "a name", lines: []string{"Contact: <sip:2001@phone.example.com>"}},
		{name: "its Via says so", source: "192.0.2.8:5060", lines: []string{"Contact: <sip:2001@192.0.2.8>"}, want: true},
		{name: "an IPv6 address in other letters", source: "[2001:db8::a]:5060",
			lines: []string{"Contact: <sip:2001@[2001:DB8:0::000a]>"}, want: true}, // by its Via
		{name: "a mapped address", source: "[::ffff:192.0.2.7]:5060", lines: []string{"Contact: <sip:2001@192.0.2.7>"}},
		{name: "by a proxy", lines: []string{"Via: SIP/2.0/UDP 10.0.0.4;branch=z9hG4bK1", "Contact: <sip:2001@10.0.0.4>"}},
		{name: "by a proxy with a path", lines: []string{"Path: <sip:edge.example.com;lr>", "Contact: <sip:2001@10.0.0.4>"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			if test.transport != "" {
				l.transport = test.transport
			}
			if test.source != "" {
				l.source = netip.MustParseAddrPort(test.source)
			}
			l.kitchen().register(test.lines...).want(200)
			if got := l.store.Bindings(sipuri.AOR{User: "2001"}, l.now)[0].NAT; got != test.want {
				t.Errorf("NAT is %v, want %v", got, test.want)
			}
		})
	}
}

func TestABindingGoesWithItsConnection(t *testing.T) {
	l := newLab(t)
	l.transport, l.stream = "TCP", 7
	p := l.kitchen()
	p.register("Contact: <sip:2001@192.0.2.7;transport=tcp>").want(200)
	if b := l.store.Bindings(sipuri.AOR{User: "2001"}, l.now); l.registrar.FlowGone(&b[0]) {
		t.Error("the connection is gone")
	}
	if !l.registrar.Carries(7, l.now) || l.registrar.Carries(8, l.now) {
		t.Error("it is not known what is bound over which connection")
	}
	p.register("Contact: *", "Expires: 0").want(200)
	if l.registrar.Carries(7, l.now) {
		t.Error("what was removed is still reached")
	}
	p.register("Contact: <sip:2001@192.0.2.7;transport=tcp>").want(200)
	l.registrar.FlowEnded(7, l.now)
	if b := l.store.Bindings(sipuri.AOR{User: "2001"}, l.now); !l.registrar.FlowGone(&b[0]) {
		t.Error("the connection is there")
	}
	l.pass(31 * time.Second)
	l.registrar.RemoveFlowless(l.now)
	l.wantBound("2001", 1)
	l.pass(2 * time.Second)
	l.registrar.RemoveFlowless(l.now)
	l.wantBound("2001", 0)
	if e := l.lastEvent(); e.Kind != journal.Removed || e.Reason != journal.StreamGone {
		t.Errorf("taken down as %+v", e)
	}
}

func TestAPhoneComesBackOnAnotherConnection(t *testing.T) {
	l := newLab(t)
	l.transport, l.stream = "TCP", 7
	p := l.kitchen()
	p.register("Contact: <sip:2001@192.0.2.7;transport=tcp>").want(200)
	l.registrar.FlowEnded(7, l.now)
	l.stream = 8
	p.register("Contact: <sip:2001@192.0.2.7;transport=tcp>").want(200)
	l.pass(time.Minute)
	l.registrar.RemoveFlowless(l.now)
	l.wantBound("2001", 1)
	l.registrar.FlowEnded(8, l.now)
	l.pass(time.Minute)
	l.registrar.RemoveFlowless(l.now)
	l.wantBound("2001", 0)
}

func TestOnlyTheConnectionsOwnBindingsGo(t *testing.T) {
	l := newLab(t)
	p := l.kitchen()
	p.register("Contact: <sip:2001@192.0.2.7>").want(200)
	l.transport, l.stream = "TCP", 7
	l.phone("workshop", "w", "2001").register("Contact: <sip:w@192.0.2.7;transport=tcp>").want(200)
	l.phone("workshop", "w", "2002").register("Contact: <sip:w@192.0.2.7;transport=tcp>").want(200)
	// What comes by a proxy's connection is not bound to it.
	l.phone("workshop", "w", "2002").register("Via: SIP/2.0/TCP 10.0.0.4;branch=z9hG4bK1", "Contact: <sip:p@192.0.2.7;transport=tcp>").want(200)
	l.registrar.FlowEnded(7, l.now)
	l.registrar.FlowEnded(99, l.now)
	l.pass(time.Minute)
	l.registrar.RemoveFlowless(l.now)
	l.wantBound("2001", 1)
	l.wantBound("2002", 1)
}

func TestWhatCannotBeRemovedIsTriedAgain(t *testing.T) {
	l := newLab(t)
	l.transport, l.stream = "TCP", 7
	l.kitchen().register("Contact: <sip:2001@192.0.2.7;transport=tcp>").want(200)
	l.registrar.FlowEnded(7, l.now)
	l.pass(time.Minute)
	l.updateFails = errors.New("test")
	l.registrar.RemoveFlowless(l.now)
	l.updateFails = nil
	l.wantBound("2001", 1)
	l.pass(time.Minute)
	l.registrar.RemoveFlowless(l.now)
	l.wantBound("2001", 0)
}

func TestConnectionsOfAnEarlierLife(t *testing.T) {
	l := newLab(t)
	if err := l.store.Update(sipuri.AOR{User: "2001"}, l.now, func([]location.Binding) ([]location.Binding, error) {
		return []location.Binding{{Contact: "sip:2001@192.0.2.7", Stream: 200, Transport: "TCP", Expires: l.now.Add(time.Hour)}}, nil
	}, nil); err != nil {
		t.Fatal(err)
	}
	l.wantBound("2001", 1)
	l.transport, l.stream = "TCP", 100
	l.phone("workshop", "w", "2002").register("Contact: <sip:w@192.0.2.7;transport=tcp>").want(200)
	l.transport, l.stream = "UDP", 0
	l.phone("workshop", "w", "2002").register("Contact: <sip:u@192.0.2.7>").want(200)
	l.registrar.RemoveEarlierFlows()
	l.wantBound("2001", 0)
	l.wantBound("2002", 2)
}

// wantBound checks how many Contacts an AOR is bound to.
func (l *lab) wantBound(name string, want int) {
	l.t.Helper()
	if got := len(l.store.Bindings(sipuri.AOR{User: name}, l.now)); got != want {
		l.t.Fatalf("%s is bound to %d Contacts, want %d", name, got, want)
	}
}
