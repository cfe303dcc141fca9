package guard

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/message"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// list is a journal that keeps all.
type list []journal.Event

func (l *list) Record(e journal.Event) { *l = append(*l, e) }

// newGuard returns one without rates.
func newGuard(j journal.Journal) *Guard {
	return New(Options{Journal: j, Clock: func() time.Time { return noon }})
}

func from(address string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(address), 5060)
}

func TestBans(t *testing.T) {
	for _, test := range []struct {
		network, source string
		after           time.Duration
		admitted        bool
	}{
		{"192.0.2.7/32", "192.0.2.7", 0, false},
		{"192.0.2.7/32", "::ffff:192.0.2.7", 0, false},
		{"192.0.2.7/32", "192.0.2.8", 0, true},
		{"192.0.2.0/24", "192.0.2.8", 0, false},
		{"192.0.2.0/24", "192.0.3.8", 0, true},
		{"2001:db8::/32", "2001:db8::7", 0, false},
		{"fe80::/64", "fe80::7%eth0", 0, false},
		{"2001:db8::/32", "2001:db9::7", 0, true},
		{"192.0.2.7/32", "192.0.2.7", time.Hour - 1, false},
		{"192.0.2.7/32", "192.0.2.7", time.Hour, true},
	} {
		g := newGuard(new(list))
		if _, err := g.Ban(netip.MustParsePrefix(test.network), noon, time.Hour); err != nil {
			t.Fatal(err)
		}
		if got := g.Admits(from(test.source), "UDP", noon.Add(test.after)); got != test.admitted {
			t.Errorf("%s, after %v, from %s: admitted %v", test.network, test.after, test.source, got)
		}
	}
}

func TestABanWithoutEndLastsUntilItIsLifted(t *testing.T) {
	g, network := newGuard(new(list)), netip.MustParsePrefix("192.0.2.0/24")
	_, _ = g.Ban(network, noon, 0)
	later := noon.Add(100000 * time.Hour)
	if g.Admits(from("192.0.2.7"), "UDP", later) || len(g.List(later)) != 1 {
		t.Error("it has ended")
	}
	if !g.Lift(network, later) || g.Lift(network, later) || !g.Admits(from("192.0.2.7"), "UDP", later) || len(g.List(later)) != 0 {
		t.Error("it was not lifted")
	}
}

// The narrower ban may be found first.
func TestABanThatIsOverHidesNoOtherOfTheSameSource(t *testing.T) {
	for range 50 { // networks are looked for in the order of a map
		g := newGuard(new(list))
		_, _ = g.Ban(netip.MustParsePrefix("192.0.2.7/32"), noon, time.Minute)
		_, _ = g.Ban(netip.MustParsePrefix("192.0.2.0/24"), noon, 0)
		if g.Admits(from("192.0.2.7"), "UDP", noon.Add(time.Hour)) {
			t.Fatal("an address of a banned network is admitted, since a ban of it alone is over")
		}
	}
}

// Else a banned network could hold as many streams as there may be.
func TestAStreamOfWhoIsBannedEnds(t *testing.T) {
	g := newGuard(new(list))
	_, _ = g.Ban(netip.MustParsePrefix("192.0.2.0/24"), noon, 0)
	reply := g.Before(nil).Receive(nil, []byte("x"), message.Flow{Transport: "TCP", Source: from("192.0.2.7")}, noon)
	if !reply.Ends || len(reply.Data) > 0 {
		t.Errorf("got %+v", reply)
	}
}

// A flood from a banned network is taken down once a minute.
func TestWhoIsKeptOutIsTakenDownNowAndThen(t *testing.T) {
	taken := new(list)
	g := newGuard(taken)
	_, _ = g.Ban(netip.MustParsePrefix("192.0.2.0/24"), noon, 0)
	for i := range 1000 {
		g.Admits(from("192.0.2.7"), "UDP", noon.Add(time.Duration(i)*100*time.Millisecond))
	}
	if len(*taken) != 2 || (*taken)[0].Reason != journal.Banned || (*taken)[0].Source != from("192.0.2.7") {
		t.Errorf("taken down: %+v", *taken)
	}
	if got := g.List(noon)[0].Dropped; got != 1000 || g.Dropped(Banned) != 1000 {
		t.Errorf("%d dropped", got)
	}
}

func TestBansHaveBounds(t *testing.T) {
	g := newGuard(new(list))
	for _, network := range []string{"0.0.0.0/0", "::/0", "10.0.0.0/7"} {
		if _, err := g.Ban(netip.MustParsePrefix(network), noon, 0); err == nil {
			t.Errorf("%s is banned", network)
		}
	}
	g.limit = 3
	ban := func(i int, now time.Time) error {
		_, err := g.Ban(netip.MustParsePrefix(fmt.Sprintf("10.0.0.%d/32", i)), now, time.Hour)
		return err
	}
	for i := range g.limit {
		if err := ban(i, noon); err != nil {
			t.Fatal(err)
		}
	}
	if ban(3, noon) == nil || ban(0, noon) != nil || ban(3, noon.Add(time.Hour)) != nil {
		t.Error("the bound does not hold, or for too long")
	}
}
