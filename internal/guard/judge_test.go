package guard

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

// limits of the tests: 2 a second are 20 in a burst.
var testRates = Options{Rate: 2, UnknownRate: 10, KnownRate: 20, Ban: true}

func limitedGuard(t testing.TB, change func(*Options)) (*Guard, *list) {
	t.Helper()
	taken, o := new(list), testRates
	o.Journal, o.Clock = taken, func() time.Time { return noon }
	if change != nil {
		change(&o)
	}
	return New(o), taken
}

// admitted sends so many messages at a time, and returns how many are read.
func admitted(g *Guard, address string, n int, now time.Time) (read int) {
	for range n {
		if g.Admits(from(address), "UDP", now) {
			read++
		}
	}
	return read
}

// Where there is no time for all, strangers come last: whoever is no stranger is told.
func TestAdmitsDatagramTellsWhoIsKnown(t *testing.T) {
	const address = "192.0.2.1"
	for _, test := range []struct {
		name            string
		change          func(*Options)
		before          func(g *Guard)
		after           time.Duration
		admitted, known bool
	}{
		{"a stranger", nil, nil, 0, true, false},
		{"a stranger who has been here", nil, func(g *Guard) { admitted(g, address, 1, noon) }, 0, true, false},
		{"a stranger who is slowed", nil, func(g *Guard) { admitted(g, address, 1000, noon) }, 0, false, false},
		{"a known source", nil, func(g *Guard) { g.Proved(addressOf(address), noon) }, 0, true, true},
		{"one that was known", nil, func(g *Guard) { g.Proved(addressOf(address), noon) }, 25 * time.Hour, true, false},
		{"a trusted one", func(o *Options) { o.Trusted = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }, nil, 0, true, true},
		{"without rates", func(o *Options) { o.Rate, o.UnknownRate, o.KnownRate = 0, 0, 0 }, nil, 0, true, true},
		{"one that is banned", nil, func(g *Guard) {
			g.Proved(addressOf(address), noon)
			_, _ = g.Ban(netip.MustParsePrefix(address+"/32"), noon, 0)
		}, 0, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, _ := limitedGuard(t, test.change)
			if test.before != nil {
				test.before(g)
			}
			admitted, known := g.AdmitsDatagram(from(address), "UDP", noon.Add(test.after))
			if admitted != test.admitted || known != test.known {
				t.Errorf("admitted %v, known %v; want %v, %v", admitted, known, test.admitted, test.known)
			}
		})
	}
}

func TestRates(t *testing.T) {
	const stranger, known, office = "192.0.2.1", "198.51.100.7", "2001:db8:1:2::9"
	for _, test := range []struct {
		name    string
		change  func(*Options)
		before  func(g *Guard)
		source  string
		after   time.Duration
		send    int
		read    int
		dropped Limit
	}{
		{"a stranger", nil, nil, stranger, 0, 1000, 20, SourceRate},
		{"a stranger that goes on", nil, func(g *Guard) { admitted(g, stranger, 1000, noon) }, stranger, 3 * time.Second, 1000, 6, SourceRate},
		{"a stranger after a pause", nil, func(g *Guard) { admitted(g, stranger, 1000, noon) }, stranger, time.Hour, 1000, 20, SourceRate},
		{"a known source", nil, func(g *Guard) { g.Proved(addressOf(known), noon) }, known, 0, 1000, 200, KnownRate},
		{"a source that becomes known while it is slowed", nil, func(g *Guard) {
			admitted(g, known, 1000, noon)
			g.Proved(addressOf(known), noon)
		}, known, 0, 1000, 200, KnownRate},
		{"a source that was known", nil, func(g *Guard) { g.Proved(addressOf(known), noon) }, known, 25 * time.Hour, 1000, 20, SourceRate},
		{"one that was known for long", func(o *Options) { o.KnownFor = 48 * time.Hour }, func(g *Guard) { g.Proved(addressOf(known), noon) }, known, 25 * time.Hour, 1000, 200, KnownRate},
		{"one that is known from before the start", nil, func(g *Guard) { g.Know(addressOf(known)) }, known, 0, 1000, 200, KnownRate},
		{"many strangers", nil, func(g *Guard) {
			for i := range 1000 {
				g.Admits(spoofed(i), "UDP", noon)
			}
		}, stranger, 0, 10, 0, UnknownRate},
		{"one of many strangers keeps its own tokens", nil, func(g *Guard) {
			admitted(g, stranger, 1, noon)
			for i := range 1000 {
				g.Admits(spoofed(i), "UDP", noon)
			}
			admitted(g, stranger, 1000, noon)
		}, stranger, time.Second, 1000, 10, UnknownRate},
		{"a known one among many strangers", nil, func(g *Guard) {
			g.Proved(addressOf(known), noon)
			for i := range 1000 {
				g.Admits(spoofed(i), "UDP", noon)
			}
		}, known, 0, 150, 150, 0},
		{"neighbours in a /64", nil, func(g *Guard) { admitted(g, "2001:db8:1:2::1", 15, noon) }, office, 0, 100, 5, SourceRate},
		{"another /64", nil, func(g *Guard) { admitted(g, "2001:db8:1:3::1", 15, noon) }, office, 0, 100, 20, SourceRate},
		{"mapped is the same", nil, func(g *Guard) { admitted(g, "::ffff:"+stranger, 15, noon) }, stranger, 0, 100, 5, SourceRate},
		{"trusted", func(o *Options) { o.Trusted = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }, nil, stranger, 0, 1000, 1000, 0},
		{"no rate", func(o *Options) { o.Rate = 0 }, nil, stranger, 0, 1000, 100, UnknownRate},
		{"no rate of all", func(o *Options) { o.UnknownRate = 0 }, func(g *Guard) {
			for i := range 1000 {
				g.Admits(spoofed(i), "UDP", noon)
			}
		}, stranger, 0, 1000, 20, SourceRate},
		{"no known rate", func(o *Options) { o.KnownRate = 0 }, func(g *Guard) { g.Proved(addressOf(known), noon) }, known, 0, 1000, 1000, 0},
		{"no rates", func(o *Options) { o.Rate, o.UnknownRate, o.KnownRate = 0, 0, 0 }, nil, stranger, 0, 1000, 1000, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, _ := limitedGuard(t, test.change)
			if test.before != nil {
				test.before(g)
			}
			before := g.Dropped(test.dropped)
			if read := admitted(g, test.source, test.send, noon.Add(test.after)); read != test.read {
				t.Errorf("%d of %d are read, want %d", read, test.send, test.read)
			}
			if got := int(g.Dropped(test.dropped) - before); test.dropped != 0 && got != test.send-test.read {
				t.Errorf("%d are counted as dropped for %s", got, test.dropped)
			}
		})
	}
}

func addressOf(text string) netip.Addr { return netip.MustParseAddr(text) }

// spoofed returns one of many sources.
func spoofed(i int) netip.AddrPort {
	var address [4]byte
	binary.BigEndian.PutUint32(address[:], 10<<24+uint32(i))
	return netip.AddrPortFrom(netip.AddrFrom4(address), 5060)
}

// Two goroutines may be at odds about which second it is.
func TestASourceIsKnownThoughTheClockIsASecondBehind(t *testing.T) {
	g, _ := limitedGuard(t, func(o *Options) { o.KnownFor = 1 << 62 })
	g.Proved(addressOf("192.0.2.1"), noon.Add(time.Minute))
	if read := admitted(g, "192.0.2.1", 100, noon.Add(time.Minute-1)); read != 100 {
		t.Errorf("%d of 100 are read", read)
	}
}

// A million spoofed sources take neither memory nor the place of a known one.
func TestStrangersPushNobodyOut(t *testing.T) {
	g, _ := limitedGuard(t, func(o *Options) { o.UnknownRate = 0 })
	const phones = 20000
	phone := func(i int) netip.Addr { return spoofed(1<<23 + i).Addr() }
	for i := range phones {
		g.Proved(phone(i), noon)
	}
	known, _ := g.Sources(noon)
	for i := range 1_000_000 {
		g.Admits(spoofed(i), "UDP", noon.Add(time.Duration(i)*time.Microsecond))
	}
	after, strangers := g.Sources(noon)
	if after != known || known < phones*99/100 {
		t.Errorf("of %d phones %d were known, and %d are after the flood", phones, known, after)
	}
	if strangers+after > MaxSources || strangers+after < MaxSources*9/10 {
		t.Errorf("%d sources are remembered", strangers+after)
	}
	if read := admitted(g, phone(7).String(), 100, noon.Add(2*time.Second)); read != 100 {
		t.Errorf("%d of 100 messages of a phone are read", read)
	}
}

// Known ones make room for each other: the latest are there.
func TestMoreKnownSourcesThanPlaces(t *testing.T) {
	const sets = 1 << 10
	g, _ := limitedGuard(t, nil)
	g.sources = newTable[place](sets)
	for i := range 3 * sets * ways {
		g.Proved(spoofed(i).Addr(), noon.Add(time.Duration(i)*10*time.Millisecond))
	}
	now := noon.Add(3 * sets * ways * 10 * time.Millisecond)
	if known, _ := g.Sources(now); known < sets*ways*99/100 {
		t.Errorf("%d are known", known)
	}
	for i := range 100 {
		if read := admitted(g, spoofed(3*sets*ways-1-i).Addr().String(), 100, now); read != 100 {
			t.Fatalf("of one of the last %d of 100 are read", read)
		}
	}
	before, _ := g.Sources(now)
	if !g.Admits(from("192.0.2.1"), "UDP", now) {
		t.Error("a stranger that finds no place is not read, though nobody else comes")
	}
	for i := range 10000 {
		g.Admits(spoofed(1<<23+i), "UDP", now.Add(time.Duration(i)*time.Second))
		g.Failed(spoofed(1<<23+i).Addr(), "a", true, now)
	}
	if known, _ := g.Sources(now); known != before {
		t.Errorf("of %d known sources strangers have left %d", before, known)
	}
}

func TestWhatIsSlowedIsTakenDownNowAndThen(t *testing.T) {
	g, taken := limitedGuard(t, func(o *Options) { o.UnknownRate = 0 })
	for second := range 60 {
		admitted(g, "192.0.2.1", 10, noon.Add(time.Duration(second)*time.Second))
	}
	if len(*taken) != 1 || (*taken)[0].Reason != journal.TooManyRequests || (*taken)[0].Source != from("192.0.2.1") ||
		(*taken)[0].Detail != "192.0.2.1 sent more than 2 requests a second (rate)" {
		t.Fatalf("taken down: %+v", *taken)
	}
	for i := range 10000 {
		admitted(g, spoofed(i).Addr().String(), 21, noon.Add(time.Minute))
	}
	if len(*taken) > 60 {
		t.Errorf("%d events within a minute", len(*taken))
	}
}

// What comes too soon on a stream waits, as far as that takes no time.
func TestStreamsWait(t *testing.T) {
	for _, test := range []struct {
		name   string
		before int // messages of the stranger
		banned bool
		slept  time.Duration
		ends   bool
	}{
		{"in time", 19, false, 0, false},
		{"too soon", 20, false, 500 * time.Millisecond, false},
		{"far too soon", 1000, false, 500 * time.Millisecond, false},
		{"banned", 0, true, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, _ := limitedGuard(t, nil)
			admitted(g, "192.0.2.1", test.before, noon)
			if test.banned {
				_, _ = g.Ban(netip.MustParsePrefix("192.0.2.1/32"), noon, 0)
			}
			var slept time.Duration
			h := guarded{&next{}, g, func(d time.Duration) { slept += d }}
			reply := h.Receive(nil, nil, message.Flow{Transport: "TCP", Source: from("192.0.2.1")}, noon)
			if slept != test.slept || reply.Ends != test.ends || reply.Ends == (len(reply.Data) > 0) {
				t.Errorf("waited %v, ends %v", slept, reply.Ends)
			}
		})
	}
	g, _ := limitedGuard(t, nil)
	var slept time.Duration
	h := guarded{&next{}, g, func(d time.Duration) { // all others are as quick
		slept += d
		admitted(g, "192.0.2.1", 100, noon.Add(slept))
	}}
	admitted(g, "192.0.2.1", 100, noon)
	if reply := h.Receive(nil, nil, message.Flow{Transport: "TCP", Source: from("192.0.2.1")}, noon); !reply.Ends || slept != longestWait {
		t.Errorf("in a flood: waited %v, ends %v", slept, reply.Ends)
	}
}

// next is the handler behind a guard.
type next struct{ Handler }

func (*next) Receive(_, _ []byte, _ message.Flow, _ time.Time) transaction.Reply {
	return transaction.Reply{Data: []byte("SIP/2.0 200 OK")}
}

func TestStreamsOfWhoIsBannedAreNotTakenIn(t *testing.T) {
	g, taken := limitedGuard(t, nil)
	if !g.AdmitsStream(from("192.0.2.1"), "TLS", noon) {
		t.Error("a stranger is kept out")
	}
	_, _ = g.Ban(netip.MustParsePrefix("192.0.2.0/24"), noon, time.Hour)
	if g.AdmitsStream(from("192.0.2.1"), "TLS", noon) || g.Dropped(Banned) != 1 || len(*taken) != 1 {
		t.Error("it is not kept out, or that is not taken down")
	}
}

// All at once, for the race detector, and no token is spent twice.
func TestTokensOfManyGoroutines(t *testing.T) {
	g, _ := limitedGuard(t, func(o *Options) { o.Journal = silent{} })
	var running sync.WaitGroup
	var read [8]int
	for i := range read {
		running.Go(func() {
			for n := range 2000 {
				if g.Admits(from("192.0.2.1"), "UDP", noon) {
					read[i]++
				}
				g.Admits(spoofed(n), "UDP", noon)
				g.Proved(spoofed(n+1).Addr(), noon)
				g.Failed(spoofed(n+2).Addr(), "a", true, noon)
				g.MayTry(spoofed(n+2).Addr(), "a", true, noon)
			}
		})
	}
	running.Wait()
	sum := 0
	for _, n := range read {
		sum += n
	}
	if sum > 20 {
		t.Errorf("%d are read", sum)
	}
}

type silent struct{}

func (silent) Record(journal.Event) {}

func BenchmarkAdmits(b *testing.B) {
	for _, bench := range []struct {
		name    string
		sources int
		known   bool
	}{{"a known phone", 1, true}, {"100,000 known phones", 100_000, true}, {"a flood of strangers", 1 << 24, false}} {
		b.Run(bench.name, func(b *testing.B) {
			g := New(Options{Journal: silent{}, Rate: 20, UnknownRate: 5000, KnownRate: 1 << 20})
			if bench.known {
				for i := range bench.sources {
					g.Proved(spoofed(i).Addr(), time.Now())
				}
			}
			now := time.Now()
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; b.Loop(); i++ {
				now = now.Add(10 * time.Microsecond)
				g.Admits(spoofed(i*7919%bench.sources), "UDP", now)
			}
		})
	}
}

// BenchmarkProves is what a refresh costs beside.
func BenchmarkProves(b *testing.B) {
	g := New(Options{Journal: silent{}, Rate: 20, UnknownRate: 5000, KnownRate: 1 << 20, Ban: true})
	address, now := addressOf("192.0.2.1"), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if !g.HasFailed(address, now) {
			g.Proved(address, now)
		}
	}
}
