package qualify

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipregd/internal/digest"
	"sipregd/internal/inifile"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/peers/peerstest"
	"sipregd/internal/sipuri"
)

var (
	begin   = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	aor     = sipuri.AOR{User: "2001"}
	here    = netip.MustParseAddrPort("192.0.2.1:5060")
	phone   = netip.MustParseAddrPort("203.0.113.9:40000")
	errGone = errors.New("no such flow")
	timeout = 3 * time.Second
)

// lab is a qualifier with a clock, a network and a phone that tests hold in their hands.
type lab struct {
	t testing.TB
	*Qualifier
	store     *location.Memory
	directory *peers.Directory
	now       time.Time
	sent      []sent
	answers   bool // the phone answers at once
	fails     error
	events    []journal.Event
	trips     []time.Duration
	lost      uint64
	meanwhile func() // happens once, when bindings are looked up
	thereupon func() // happens once, just after that
	refuses   error  // of the store: any change
}

// watched is the store, before and after which something else may happen.
type watched struct {
	*location.Memory
	lab *lab
}

func (w watched) Update(aor sipuri.AOR, now time.Time, change func([]location.Binding) ([]location.Binding, error),
	made func([]location.Binding)) error {
	if w.lab.refuses != nil {
		return w.lab.refuses
	}
	defer w.lab.happen(&w.lab.thereupon)
	return w.Memory.Update(aor, now, change, made)
}

func (w watched) Bindings(aor sipuri.AOR, now time.Time) []location.Binding {
	w.lab.happen(&w.lab.meanwhile)
	defer w.lab.happen(&w.lab.thereupon)
	return w.Memory.Bindings(aor, now)
}

// happen has something happen that is to happen once.
func (l *lab) happen(what *func()) {
	if do := *what; do != nil {
		*what = nil
		do()
	}
}

type sent struct {
	after time.Duration // since the beginning
	flow  message.Flow
	text  string
}

func newLab(t testing.TB, keys string) *lab {
	l := &lab{t: t, store: location.NewMemory(begin), now: begin, answers: true}
	l.reload(keys)
	l.Qualifier = l.qualifier()
	return l
}

func (l *lab) qualifier() *Qualifier {
	return New(Options{
		Store: watched{l.store, l}, Directory: func() *peers.Directory { return l.directory }, Journal: l, Send: l.send, Gone: errGone,
		Clock: func() time.Time { return l.now }, Random: rand.NewChaCha8([32]byte{1}),
		Lost:      func() uint64 { return l.lost },
		RoundTrip: func(d time.Duration) { l.trips = append(l.trips, d) },
	})
}

// reload has a peer for each phone of the lab, with those keys.
func (l *lab) reload(keys string) {
	l.t.Helper()
	l.directory = peerstest.Load(l.t, keys+"\n[Kitchen]\nauthname = a\nsecret = s\naorname = *\n", peers.Options{
		Domains: peers.NewDomains(nil, ""), Algorithms: []digest.Algorithm{digest.MD5}, MaxContacts: 10,
		MinimumExpiration: 60, DefaultExpiration: 3600, MaximumExpiration: 86400,
		QualifyFrequency: inifile.Auto, QualifyTimeout: int(timeout / time.Second),
	})
}

func (l *lab) Record(e journal.Event) { l.events = append(l.events, e) }

// send is the network. What the phone is asked, it answers 20 ms later.
func (l *lab) send(flow message.Flow, data []byte) error {
	l.sent = append(l.sent, sent{l.now.Sub(begin), flow, string(data)})
	if l.fails == nil && l.answers {
		l.answer(string(data), l.now.Add(20*time.Millisecond))
	}
	return l.fails
}

// answer answers a request as a phone does.
func (l *lab) answer(request string, at time.Time) {
	l.t.Helper()
	_, rest, _ := strings.Cut(request, "\r\n")
	if !l.Clients().Answer([]byte("SIP/2.0 200 OK\r\n"+rest), at) {
		l.t.Errorf("the answer was not taken: %s", rest)
	}
}

func (l *lab) peer() *peers.Peer { return l.directory.ByAuthname("", "a") }

// bound has a phone behind NAT register over UDP, as alter has it.
func (l *lab) bound(user string, alter ...func(*location.Binding)) location.Binding {
	l.t.Helper()
	b := location.Binding{
		Contact: "sip:" + user + "@10.0.0.7:5062", CallID: "c", Expires: l.now.Add(time.Hour), Changed: l.now, Authname: "a", Label: "Kitchen",
		Transport: "UDP", Source: phone, Local: here, NAT: true,
	}
	for _, change := range alter {
		change(&b)
	}
	who := sipuri.AOR{User: user}
	next := []location.Binding{b}
	err := l.store.Update(who, l.now, func(current []location.Binding) ([]location.Binding, error) {
		if len(current) > 0 {
			next[0].ID = current[0].ID
		}
		return next, nil
	}, func([]location.Binding) { l.Bound(l.peer(), who, &next[0], l.now) })
	if err != nil {
		l.t.Fatal(err)
	}
	return next[0]
}

// wait lets time go by in steps of a tick.
func (l *lab) wait(long time.Duration) {
	for end := l.now.Add(long); l.now.Before(end); {
		l.now = l.now.Add(tick)
		l.Step(l.now)
	}
}

// told returns the events, with the seconds when they came.
func (l *lab) told() (list []string) {
	for _, e := range l.events {
		list = append(list, fmt.Sprintf("%v %v: %s", e.Kind, e.Reason, e.Detail))
	}
	return list
}

func (l *lab) checkState(b *location.Binding, want State) Status {
	l.t.Helper()
	status, known := l.Status(b.ID)
	if !known || status.State != want {
		l.t.Errorf("got %+v, known %v, want state %d", status, known, want)
	}
	return status
}
