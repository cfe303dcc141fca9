package registrar_test

import (
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sipregd/internal/digest"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/registrar"
	"sipregd/internal/sipuri"
	"sipregd/internal/transaction"
)

// common is a store that others use too.
type common struct {
	interrupted
	uses    []location.Use
	claims  []location.Use
	refused bool // the use is known
	stale   bool
	walking chan struct{} // closed: bindings may be gone through
	far     time.Duration
	mu      sync.Mutex
	waiting atomic.Int32 // changes that are under way
	most    atomic.Int32 // at once
	late    bool         // changes are carried out, but nobody hears of that in time
}

func (c *common) UpdateProved(aor sipuri.AOR, now time.Time, use location.Use,
	change func([]location.Binding) ([]location.Binding, error), made func([]location.Binding)) error {
	c.uses = append(c.uses, use)
	if c.refused {
		return location.ErrReplayed
	}
	if c.late {
		_ = c.Update(aor, now, change, nil)
		return location.ErrNotDurable
	}
	return c.Update(aor, now, change, made)
}

func (c *common) Claim(use location.Use) error {
	c.claims = append(c.claims, use)
	if c.refused {
		return location.ErrReplayed
	}
	return c.lab.updateFails
}

func (c *common) Lookup(aor sipuri.AOR, now time.Time) ([]location.Binding, bool) {
	return c.Bindings(aor, now), c.stale
}

func (c *common) Update(aor sipuri.AOR, now time.Time, change func([]location.Binding) ([]location.Binding, error),
	made func([]location.Binding)) error {
	c.most.Store(max(c.most.Load(), c.waiting.Add(1)))
	time.Sleep(c.far)
	c.waiting.Add(-1)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.interrupted.Update(aor, now, change, made)
}

func (c *common) All() iter.Seq2[sipuri.AOR, []location.Binding] {
	return func(yield func(sipuri.AOR, []location.Binding) bool) {
		if c.walking != nil {
			<-c.walking
		}
		c.interrupted.All()(yield)
	}
}

func (c *common) Stale() bool { return c.stale }

func (c *common) StaleOf(sipuri.AOR) bool { return c.stale }

func newCommonLab(t *testing.T, settings ...setting) (*lab, *common) {
	t.Helper()
	c := &common{}
	l := newLab(t, append(settings, func(s *setup) {
		s.others.Node, s.others.Started = "here", time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC)
		s.wrap = func(i interrupted) registrar.Location { c.interrupted = i; return c }
	})...)
	return l, c
}

func TestWhatProvedARequestIsToldToOthers(t *testing.T) {
	l, c := newCommonLab(t)
	p := l.kitchen()
	p.register("Contact: <sip:2001@192.0.2.7>").want(200)
	p.authenticated("Contact: <sip:2001@192.0.2.7>").want(200)
	p.authenticated().want(200) // changes nothing
	if len(c.uses) != 3 || c.uses[2].Count != 3 || c.uses[0].Count != 1 || c.uses[1].Count != 2 || c.uses[0].Number != c.uses[1].Number ||
		c.uses[0].Issued != uint32(l.now.Unix()) || c.uses[1].Issued != c.uses[0].Issued {
		t.Errorf("told of %+v", c.uses)
	}
	for _, b := range l.store.Bindings(sipuri.AOR{User: "2001"}, l.now) {
		if b.Node != "here" {
			t.Errorf("the node is %q", b.Node)
		}
	}
}

// RFC 7616 §5.5: what has proved a request to another node is challenged anew, and in
// silence where the phone knows the secret.
func TestAReplayToAnotherNodeIsChallenged(t *testing.T) {
	l, c := newCommonLab(t)
	p := l.kitchen()
	p.register("Contact: <sip:2001@192.0.2.7>").want(200)
	c.refused = true
	response := p.authenticated("Contact: <sip:2001@192.0.2.8>").want(401)
	if response.challenge("stale") != "true" || response.challenge("nonce") == p.nonce {
		t.Errorf("challenged by %s", response.one("WWW-Authenticate"))
	}
	if e := l.lastEvent(); e.Kind != journal.Refused || e.Reason != journal.Replay || e.Authname != "7f3a9c" {
		t.Errorf("taken down: %+v", e)
	}
	c.refused = false
	p.register().want(200).wantContacts("sip:2001@192.0.2.7 3600")
}

// What was refused has gone over the network all the same: it must let in nobody at another
// node, whatever he writes into it.
func TestWhatIsRefusedIsClaimedToo(t *testing.T) {
	for name, send := range map[string]func(p *phone) *response{
		"step 4": func(p *phone) *response { p.to = "sip:2002@registrar.example"; return p.register().want(403) },
		"step 6": func(p *phone) *response { return p.register("Contact: *").want(400) },
		"step 7": func(p *phone) *response { return p.register("Contact: <sip:a@192.0.2.7>", "Expires: 1").want(423) },
		"when bindings are looked at": func(p *phone) *response {
			p.register("Contact: <sip:a@192.0.2.7>").want(200)
			p.cseq--
			p.cseq--
			return p.authenticated("Contact: <sip:a@192.0.2.7>").want(500)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, c := newCommonLab(t)
			p := l.kitchen()
			send(p)
			if len(c.uses) == 0 || c.uses[len(c.uses)-1].Count != uint32(p.nc) {
				t.Errorf("told of %+v", c.uses)
			}
		})
	}
}

// Who sends once more what another node has refused is not sent the refusal as often as
// he likes.
func TestARefusalThatIsNotTheFirstIsNotKept(t *testing.T) {
	for name, kept := range map[string]bool{"the first": true, "another": false} {
		t.Run(name, func(t *testing.T) {
			l, c := newCommonLab(t)
			p := l.kitchen()
			p.challenge()
			p.nc++
			text := p.request(p.authorization(), "Contact: *")
			c.refused = !kept
			l.send(text)
			before := len(l.events)
			l.send(text)
			if kept != (len(l.events) == before) {
				t.Errorf("taken down: %+v", l.events[before:])
			}
		})
	}
}

// What a peer has proved of one address proves nothing of its others.
func TestAPeerOfSeveralAddressesClaimsFirst(t *testing.T) {
	l, c := newCommonLab(t)
	p := l.phone("workshop", "w", "2002")
	p.register("Contact: <sip:2002@192.0.2.7>").want(200)
	if len(c.claims) != 1 || c.claims[0].Count != 1 || len(c.uses) != 0 {
		t.Errorf("claimed: %+v, told of %+v", c.claims, c.uses)
	}
	c.refused = true
	if response := p.authenticated().want(401); response.challenge("stale") != "true" {
		t.Errorf("challenged by %s", response.one("WWW-Authenticate"))
	}
	if e := l.lastEvent(); e.Reason != journal.Replay {
		t.Errorf("taken down: %+v", e)
	}
	c.refused, l.updateFails = false, location.ErrNotDurable
	p.register().want(503)
}

// asker lets in whoever proves himself, as those do who answer calls.
type asker struct{ *registrar.Registrar }

func (a asker) Answer(r *message.Request, now time.Time) *message.Response {
	request := a.Authentication(r, now)
	if end := request.CheckDomain(); end != nil {
		return end
	}
	if end := request.Authenticate(); end != nil {
		return end
	}
	return r.Respond(200, "OK")
}

// A captured call or subscription is good at no node: nobody tells another one of it.
func TestANonceOfAnotherNodeProvesNoCall(t *testing.T) {
	begun := time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC)
	node := func(start uint64) *lab {
		l, _ := newCommonLab(t, func(s *setup) {
			s.authenticator = digest.NewShared([32]byte{1}, start, begun, s.algorithms, 300*time.Second)
		})
		l.layer = transaction.NewLayer(asker{l.registrar}, 64<<20)
		return l
	}
	here, there := node(1<<40), node(1<<50)
	p := here.kitchen()
	p.method = "SUBSCRIBE"
	p.challenge()
	p.nc++
	captured := p.request(p.authorization())
	here.send(captured).want(200)
	if response := there.send(captured).want(401); response.challenge("stale") != "true" {
		t.Errorf("challenged by %s", response.one("WWW-Authenticate"))
	}
	if e := there.lastEvent(); e.Reason != journal.StaleNonce {
		t.Errorf("taken down: %+v", e)
	}
	p.lab = there
	p.register().want(200)
}

// A store that is out of reach lets nobody think that nothing is bound.
func TestAQueryWhileBindingsAreNotKnown(t *testing.T) {
	l, _ := newCommonLab(t)
	p := l.kitchen()
	p.register("Contact: <sip:2001@192.0.2.7>").want(200)
	l.updateFails = errors.New("away")
	if p.authenticated().want(503).one("Retry-After") == "" {
		t.Error("nobody is told when to ask again")
	}
	p.authenticated("Contact: <sip:2001@192.0.2.8>").want(503)
	l.updateFails = nil
	p.authenticated().want(200).wantContacts("sip:2001@192.0.2.7 3600")
}

// Nor does one that cannot tell of this address alone.
func TestWhatIsBoundIsNotKnownOfOneAddress(t *testing.T) {
	l, c := newCommonLab(t, withPeers(certifiedPeers))
	l.transport, l.stream = "TLS", 7
	l.certificate = &message.Certificate{Names: []string{"gw1.example.com"}, Expires: l.now.Add(time.Hour)}
	p := l.phone("gw-1", "", "3001")
	l.send(p.request("Contact: <sip:3001@192.0.2.7>")).want(200)
	c.stale = true
	l.send(p.request()).want(503)
	if !l.registrar.Carries(7, l.now) {
		t.Error("the connection is said to carry nothing")
	}
	c.stale = false
	l.send(p.request()).want(200)
}

// RFC 5626 §5.1: who has the flow is asked first.
func TestTheNodeOfAFlowIsInFrontOfItsPath(t *testing.T) {
	const outbound = "<sip:here.example;lr>"
	for _, test := range []struct {
		name, transport string
		stream          uint64
		contact, path   string
		want            string
	}{
		{"by UDP from where it says", "UDP", 0, "sip:2001@192.0.2.7", "", ""},
		{"behind NAT", "UDP", 0, "sip:2001@10.0.0.7", "", outbound},
		{"on a stream", "TCP", 9, "sip:2001@192.0.2.7", "", outbound},
		{"on a stream, with a Path", "TCP", 9, "sip:2001@192.0.2.7", "<sip:edge.example;lr>", outbound + ",<sip:edge.example;lr>"},
		{"by UDP, with a Path", "UDP", 0, "sip:2001@10.0.0.7", "<sip:edge.example;lr>", "<sip:edge.example;lr>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, _ := newCommonLab(t, func(s *setup) { s.others.Outbound = outbound })
			l.transport, l.stream = test.transport, test.stream
			lines := []string{"Supported: path", "Contact: <" + test.contact + ">"}
			if test.path != "" {
				lines = append(lines, "Path: "+test.path)
			}
			response := l.kitchen().register(lines...).want(200)
			if got := response.all("Path"); len(got) > 1 || len(got) == 1 && got[0] != test.path {
				t.Errorf("the phone is told %q", got)
			}
			bindings := l.store.Bindings(sipuri.AOR{User: "2001"}, l.now)
			if len(bindings) != 1 || bindings[0].Path != test.want {
				t.Errorf("bound: %+v, want %q", bindings, test.want)
			}
		})
	}
}

// What a store far away is asked for is not asked one after the other.
func TestManyConnectionsHaveEnded(t *testing.T) {
	l, c := newCommonLab(t)
	l.transport = "TCP"
	const count = 100
	for i := range count {
		l.stream = uint64(i + 1)
		l.kitchen().register(fmt.Sprintf("Contact: <sip:2001@192.0.2.7:%d>", 1000+i)).want(200)
		l.registrar.FlowEnded(l.stream, l.now)
	}
	c.far = 10 * time.Millisecond
	l.registrar.RemoveFlowless(l.now.Add(time.Minute))
	if left := l.store.Bindings(sipuri.AOR{User: "2001"}, l.now); len(left) > 0 {
		t.Errorf("%d bindings are left", len(left))
	}
	if most := c.most.Load(); most < 10 || most > 100 {
		t.Errorf("%d were asked for at once", most)
	}
}

// To go through all that many nodes have bound takes a while: no request waits for that.
func TestAORsAreCountedBesideRequests(t *testing.T) {
	l, c := newCommonLab(t, withPeers(trunkPeers))
	for _, aor := range []string{"3001", "3002"} {
		l.phone("trunk", "s", aor).register("Contact: <sip:a@192.0.2.7>").want(200)
	}
	l.registrar.WaitForCounting()
	c.walking = make(chan struct{})
	l.reload(trunkPeers)
	bind := func(aor string, want int) {
		l.phone("trunk", "s", aor).register("Contact: <sip:a@192.0.2.7>").want(want)
	}
	bind("3003", 200)
	bind("3004", 403) // by what was known
	if err := l.store.Update(sipuri.AOR{User: "3001"}, l.now, func([]location.Binding) ([]location.Binding, error) { return nil, nil }, nil); err != nil {
		t.Fatal(err)
	}
	close(c.walking)
	l.registrar.WaitForCounting()
	bind("3004", 200)
	bind("3005", 403)
}

// Connections of other nodes are no business of this one.
func TestFlowsOfOtherNodes(t *testing.T) {
	l, _ := newCommonLab(t)
	l.transport, l.stream = "TCP", 7
	l.kitchen().register("Contact: <sip:2001@192.0.2.7>").want(200)
	aor := sipuri.AOR{User: "2001"}
	put := func(node, contact string, stream uint64) {
		bound := location.Binding{Contact: contact, Node: node, Stream: stream, Authname: "7f3a9c", CallID: "c", Transport: "TCP",
			Changed: l.now, Expires: l.now.Add(time.Hour)}
		if err := l.store.Update(aor, l.now, func(current []location.Binding) ([]location.Binding, error) {
			return append(append([]location.Binding{}, current...), bound), nil
		}, nil); err != nil {
			t.Fatal(err)
		}
	}
	put("there", "sip:there@192.0.2.8", 7)
	put("there", "sip:there@192.0.2.9", 8)
	for _, b := range l.store.Bindings(aor, l.now) {
		if l.registrar.FlowGone(&b) {
			t.Errorf("%s is said to be gone", b.Contact)
		}
	}
	l.registrar.FlowEnded(7, l.now)
	l.registrar.RemoveFlowless(l.now.Add(time.Minute))
	l.registrar.RemoveEarlierFlows()
	l.kitchen().register().want(200).wantContacts("sip:there@192.0.2.8 3600", "sip:there@192.0.2.9 3600")
	if l.registrar.HasTwin() {
		t.Error("another node is said to have the name of this one")
	}

	put("here", "sip:twin@192.0.2.10", 99)
	l.kitchen().register("Contact: <sip:2001@192.0.2.11>").want(200)
	if !l.registrar.HasTwin() || l.registrar.HasTwin() {
		t.Error("another node with its name is not told of once")
	}
}

// What was bound though its answer came too late is this node's as all else is.
func TestABindingWhoseAnswerWasLate(t *testing.T) {
	l, c := newCommonLab(t)
	l.transport, l.stream = "TCP", 7
	c.late = true
	p := l.kitchen()
	p.register("Contact: <sip:2001@192.0.2.7>").want(503)
	c.late = false
	p.authenticated("Contact: <sip:2001@192.0.2.7>").want(200)
	if l.registrar.HasTwin() {
		t.Error("another node is said to have the name of this one")
	}

	l.stream, c.late = 8, true
	p.authenticated("Contact: <sip:2001@192.0.2.7>").want(503)
	l.registrar.FlowEnded(8, l.now)
	l.registrar.RemoveFlowless(l.now.Add(time.Minute))
	if left := l.store.Bindings(sipuri.AOR{User: "2001"}, l.now); len(left) > 0 {
		t.Errorf("left over a connection that has ended: %+v", left)
	}
}

// A binding over a connection of this node's is no sign of another one when that has ended.
func TestABindingOverAConnectionThatHasEnded(t *testing.T) {
	l, _ := newCommonLab(t)
	l.transport, l.stream = "TCP", 7
	l.kitchen().register("Contact: <sip:2001@192.0.2.7>").want(200)
	bound := l.store.Bindings(sipuri.AOR{User: "2001"}, l.now)
	l.registrar.FlowEnded(7, l.now)
	l.registrar.RemoveFlowless(l.now.Add(time.Minute))
	if err := l.store.Update(sipuri.AOR{User: "2001"}, l.now, func([]location.Binding) ([]location.Binding, error) {
		return bound, nil // which Redis did not let go
	}, nil); err != nil {
		t.Fatal(err)
	}
	l.stream = 8
	l.kitchen().register("Contact: <sip:2001@192.0.2.7>").want(200)
	if l.registrar.HasTwin() {
		t.Error("another node is said to have the name of this one")
	}
}

// §10.3 step 7: what is granted may be less than what is asked for, and never more.
func TestPhonesAreSpreadOverTime(t *testing.T) {
	for _, test := range []struct {
		name    string
		part    float64
		expires string
		want    string
	}{
		{"nothing is cut", 0, "3600", "3600"},
		{"a quarter", 0.25, "3600", "2700"},
		{"whole seconds", 0.1, "3599", "3239"},
		{"not below the minimum", 0.5, "70", "60"},
		{"less than the minimum is asked for", 0.5, "0", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, func(s *setup) { s.shorten = func(time.Time) float64 { return test.part } })
			p := l.kitchen()
			response := p.register("Contact: <sip:2001@192.0.2.7>;expires=" + test.expires).want(200)
			if test.want == "" {
				response.wantContacts()
				return
			}
			response.wantContacts("sip:2001@192.0.2.7 " + test.want)
		})
	}
}
