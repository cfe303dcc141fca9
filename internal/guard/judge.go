package guard

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"sipregd/internal/journal"
)

// Limit is why a message was dropped unread.
type Limit uint8

// The limits: bans, and the rates of [security].
const (
	within Limit = iota
	Banned
	SourceRate
	KnownRate
	UnknownRate
	limits
)

// String returns the name, that of the key where it is a rate.
func (l Limit) String() string {
	return [...]string{Banned: "ban", SourceRate: "rate", KnownRate: "known_rate", UnknownRate: "unknown_rate"}[l]
}

// Rates returns the limits that are rates.
func Rates() []Limit { return []Limit{SourceRate, KnownRate, UnknownRate} }

const (
	tellPause    = time.Minute     // between two events of one source
	tellTogether = 5               // events a second, of all sources
	failedTime   = 2 * time.Minute // after a failure a source is looked at closer
)

// place is what is remembered of a source. Its times are in seconds since the guard
// began, and one more; 0: never.
type place struct {
	due    time.Duration // of its bucket
	known  uint32        // when a peer last proved itself from there
	seen   uint32
	told   uint32 // when an event said that something was dropped
	failed uint32 // when credentials from there last proved nothing
}

// isKnown tells whether a peer proved itself from there lately.
func (g *Guard) isKnown(p *place, second uint32) bool {
	return p.known != 0 && age(p.known, second) < g.knownSeconds
}

// ranks returns by what sources make room: those that are not known come first, the
// longest unseen of them before others.
func (g *Guard) ranks(second uint32) func(*place) uint64 {
	return func(p *place) uint64 {
		if g.isKnown(p, second) {
			return 1<<32 + uint64(p.known)
		}
		return uint64(p.seen)
	}
}

const (
	unknownLimit = 1 << 32        // of ranks: a stranger takes no place of a known source
	anyLimit     = math.MaxUint64 // a known source takes that of another one at need
)

// Admits tells whether a message from an address is to be read, which takes a token
// of its source. It counts those that are not.
func (g *Guard) Admits(source netip.AddrPort, transport string, now time.Time) bool {
	admitted, _ := g.AdmitsDatagram(source, transport, now)
	return admitted
}

// AdmitsDatagram is Admits, and tells whether the source is known or trusted: where there
// is no time for all, it goes before strangers. Without rates nobody is a stranger.
func (g *Guard) AdmitsDatagram(source netip.AddrPort, transport string, now time.Time) (admitted, known bool) {
	over, known := g.judge(source, transport, now)
	if over != within {
		g.over[over].Add(1)
	}
	return over == within, known
}

// AdmitsInTime is Admits for a message on a stream. One that comes too soon waits, by
// sleep, and with it all that follows on its stream: else the phone would have to open
// another one. One that has waited for long is not admitted.
func (g *Guard) AdmitsInTime(source netip.AddrPort, transport string, now time.Time, sleep func(time.Duration)) bool {
	for waited := time.Duration(0); ; waited += waitStep {
		over, _ := g.judge(source, transport, now.Add(waited))
		switch {
		case over == within:
			return true
		case over == Banned, waited >= longestWait:
			g.over[over].Add(1)
			return false
		}
		sleep(waitStep)
	}
}

const (
	longestWait = 2 * time.Second
	waitStep    = 100 * time.Millisecond
)

// AdmitsStream tells whether a stream from an address is to be taken in: unless it is
// banned. It counts those that are not.
func (g *Guard) AdmitsStream(source netip.AddrPort, transport string, now time.Time) bool {
	if !g.keepsOut(plain(source.Addr()), source, transport, now) {
		return true
	}
	g.over[Banned].Add(1)
	return false
}

// judge tells what is in the way of a message, if anything, and whether its source is
// known, or as good as that.
func (g *Guard) judge(source netip.AddrPort, transport string, now time.Time) (over Limit, known bool) {
	address := plain(source.Addr())
	if g.keepsOut(address, source, transport, now) {
		return Banned, false
	}
	if !g.limited || g.isTrusted(address) {
		return within, true
	}
	over, known, tell := g.take(address, now.Sub(g.began))
	if tell {
		g.tellSlowed(over, source, transport, now)
	}
	return over, known
}

// take takes a token for a message, or tells which limit is in the way, and whether
// that is to be taken down.
func (g *Guard) take(address netip.Addr, now time.Duration) (over Limit, known, tell bool) {
	second, key := secondOf(now), g.sources.key(address)
	s := g.sources.lock(key)
	defer s.mu.Unlock()
	p := s.find(key)
	if p != nil {
		p.seen = second
		known = g.isKnown(p, second)
		if over = g.takeOwn(p, known, now); over == within {
			return within, known, false
		}
		tell = p.told == 0 || age(p.told, second) >= uint32(tellPause/time.Second)
		tell = tell && g.telling.take(now)
		if tell {
			p.told = second
		}
		return over, known, tell
	}
	if !g.strangers.take(now) { // before it can take the place of another
		return UnknownRate, false, g.telling.take(now)
	}
	if p = s.make(key, unknownLimit, g.ranks(second)); p != nil {
		p.seen = second
		g.own.take(&p.due, now)
	}
	return within, false, false
}

// takeOwn takes a token of a source that has a place, and of all strangers together
// where it is one.
func (g *Guard) takeOwn(p *place, known bool, now time.Duration) Limit {
	if known {
		if !g.known.take(&p.due, now) {
			return KnownRate
		}
		return within
	}
	before := p.due
	if !g.own.take(&p.due, now) {
		return SourceRate
	}
	if !g.strangers.take(now) {
		p.due = before
		return UnknownRate
	}
	return within
}

func (g *Guard) isTrusted(address netip.Addr) bool {
	for i := range g.trusted {
		if g.trusted[i].Contains(address) {
			return true
		}
	}
	return false
}

// tellSlowed takes down that something was dropped for a rate.
func (g *Guard) tellSlowed(over Limit, source netip.AddrPort, transport string, now time.Time) {
	who := Text(networkOf(plain(source.Addr())))
	detail := fmt.Sprintf("%s sent more than %d requests a second (rate)", who, g.options.Rate)
	switch over {
	case KnownRate:
		detail = fmt.Sprintf("%s sent more than %d requests a second (known_rate)", who, g.options.KnownRate)
	case UnknownRate:
		detail = fmt.Sprintf("all sources where nobody has registered lately sent more than %d requests a second together (unknown_rate), %s among them",
			g.options.UnknownRate, who)
	}
	g.journal.Record(journal.Event{
		Time: now, Kind: journal.Refused, Reason: journal.TooManyRequests, Source: source, Transport: transport, Forgeable: transport == "UDP", Detail: detail,
	})
}

// Dropped returns how many messages, and streams of who is banned, were dropped for a
// limit since the start.
func (g *Guard) Dropped(over Limit) uint64 { return g.over[over].Load() }

// Sources returns how many sources are remembered now: those where a peer has proved
// itself lately, and strangers.
func (g *Guard) Sources(now time.Time) (known, strangers int) {
	second := secondOf(now.Sub(g.began))
	for i := range g.sources.sets {
		s := &g.sources.sets[i]
		s.mu.Lock()
		for j := range s.keys {
			switch {
			case s.keys[j] == 0:
			case g.isKnown(&s.places[j], second):
				known++
			default:
				strangers++
			}
		}
		s.mu.Unlock()
	}
	return known, strangers
}

// age returns how many seconds ago something was. What another goroutine has just taken
// down may be a second ahead.
func age(then, second uint32) uint32 { return second - min(then, second) }

// secondOf returns a time since the guard began as places have it.
func secondOf(since time.Duration) uint32 { return uint32(since/time.Second) + 1 }
