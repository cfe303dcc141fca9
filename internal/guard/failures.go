package guard

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"time"
)

const (
	// Of wrong answers for one authname from one source some are looked at at once, as
	// phones and people need, and then one in a while.
	guessBurst = 20
	guessPause = 5 * time.Second

	failWindow = 10 * time.Minute
	failLimit  = 10 // authnames that fail within it: a ban

	firstBan     = 5 * time.Minute
	banGrowth    = 3 // times as long as the one before
	longestBan   = 24 * time.Hour
	peace        = 24 * time.Hour // after a ban, and it is forgotten
	bansAtOnce   = 10             // automatic ones a second
	knownAtLeast = 24 * time.Hour
)

// guesses is what is remembered of a source and an authname that failed.
type guesses struct {
	due  time.Duration
	seen uint32
}

// suspect is what is remembered of a source that failed, and where no peer has proved
// itself lately. Its times are as those of place.
type suspect struct {
	since uint32            // when the first of the names failed
	seen  uint32            // when one last did
	ended uint32            // when its last ban ends or ended; 0: there was none
	bans  uint8             // in a row
	count uint8             // of names
	names [failLimit]uint32 // hashes of authnames that failed
}

// HasFailed tells whether credentials from an address may have proved nothing lately: then
// MayTry is to be asked. It costs next to nothing.
func (g *Guard) HasFailed(address netip.Addr, now time.Time) bool {
	address = plain(address)
	key := g.sources.key(address)
	s := g.sources.lock(key)
	defer s.mu.Unlock()
	p := s.find(key)
	if p == nil { // so many are known that there is no place
		return !g.isTrusted(address)
	}
	return p.failed != 0 && age(p.failed, secondOf(now.Sub(g.began))) <= uint32(failedTime/time.Second)
}

// MayTry tells whether credentials from an address for an authname are to be looked at.
// reached tells whether it is sure that they come from there, as over a stream, or with
// a nonce that was given to it: else others could use up what a phone may try. Whether
// the authname is somebody's plays no part.
func (g *Guard) MayTry(address netip.Addr, authname string, reached bool, now time.Time) bool {
	address = plain(address)
	at := now.Sub(g.began)
	table := g.guesses[indexOf(reached)]
	key := table.keyOf(address, authname)
	s := table.lock(key)
	defer s.mu.Unlock()
	p := s.find(key)
	if p == nil || !guessing.empty(p.due, at) {
		return true
	}
	g.unread.Add(1)
	return false
}

// guessing is the bucket of wrong answers.
var guessing = rate{guessPause, guessBurst * guessPause}

func indexOf(reached bool) int {
	if reached {
		return 1
	}
	return 0
}

// Failed takes down that credentials from an address for an authname prove nothing, be
// the secret wrong or the authname nobody's. Many authnames get a source banned, unless
// a peer has proved itself from there lately. Of those of whom it is not sure that they
// come from there none does: else anybody could have anybody banned.
func (g *Guard) Failed(address netip.Addr, authname string, reached bool, now time.Time) {
	address = plain(address)
	if g.isTrusted(address) {
		return
	}
	at := now.Sub(g.began)
	second := secondOf(at)
	known := g.markFailed(address, second)
	g.countGuess(g.guesses[indexOf(reached)], address, authname, at)
	if known || !reached || !g.options.Ban {
		return
	}
	if lasts, names := g.suspect(address, authname, second, at); lasts > 0 {
		g.banSuspect(address, names, lasts, now)
	}
}

// markFailed takes down when a source failed, and tells whether it is known.
func (g *Guard) markFailed(address netip.Addr, second uint32) (known bool) {
	key := g.sources.key(address)
	s := g.sources.lock(key)
	defer s.mu.Unlock()
	p := s.find(key)
	if p == nil {
		if p = s.make(key, unknownLimit, g.ranks(second)); p == nil {
			return false
		}
		p.seen = second
	}
	p.failed = second
	return g.isKnown(p, second)
}

func (g *Guard) countGuess(t *table[guesses], address netip.Addr, authname string, at time.Duration) {
	key := t.keyOf(address, authname)
	s := t.lock(key)
	defer s.mu.Unlock()
	p := s.find(key)
	if p == nil {
		p = s.make(key, anyLimit, func(p *guesses) uint64 { return uint64(p.seen) })
	}
	p.seen = secondOf(at)
	guessing.take(&p.due, at)
}

// suspect counts an authname that failed against a source. It returns how long the
// source is to be banned, and for how many authnames; 0: it is not.
func (g *Guard) suspect(address netip.Addr, authname string, second uint32, at time.Duration) (lasts time.Duration, names int) {
	key := g.suspects.key(address)
	s := g.suspects.lock(key)
	defer s.mu.Unlock()
	p := s.find(key)
	if p == nil {
		p = s.make(key, anyLimit, func(p *suspect) uint64 { return uint64(p.seen) })
	}
	p.seen = second
	if p.count == 0 || age(p.since, second) > uint32(failWindow/time.Second) {
		p.since, p.count = second, 0
	}
	if !p.adds(uint32(maphash.String(g.suspects.seed, authname))) || p.count < failLimit || !g.banning.take(at) {
		return 0, 0
	}
	if p.ended != 0 && second > p.ended+uint32(peace/time.Second) {
		p.bans = 0
	}
	lasts = lengthOf(p.bans)
	p.ended, p.bans, p.count = second+uint32(lasts/time.Second), min(p.bans+1, 100), 0
	return lasts, failLimit
}

// adds counts a name that was not counted before. Where there are enough of them, each
// one more counts: there was no time to ban the source yet.
func (p *suspect) adds(name uint32) bool {
	for _, other := range p.names[:p.count] {
		if other == name {
			return p.count == failLimit
		}
	}
	if p.count < failLimit {
		p.names[p.count] = name
		p.count++
	}
	return true
}

// lengthOf returns how long a ban lasts after so many others.
func lengthOf(before uint8) time.Duration {
	lasts := firstBan
	for range before {
		if lasts *= banGrowth; lasts >= longestBan {
			return longestBan
		}
	}
	return lasts
}

func (g *Guard) banSuspect(address netip.Addr, names int, lasts time.Duration, now time.Time) {
	why := fmt.Sprintf("%d authnames in %d minutes proved nothing", names, int(failWindow.Minutes()))
	b, err := g.ban(&ban{network: networkOf(address), until: now.Add(lasts), automatic: true, why: why}, now)
	if err != nil { // there are too many: it is slowed
		return
	}
	g.banned.Add(1)
	if g.options.Banned != nil {
		g.options.Banned(b, address)
	}
}

// Proved takes down that a peer has proved itself from an address: it is known from now
// on, and what fails from there, or has failed, does not get it banned.
func (g *Guard) Proved(address netip.Addr, now time.Time) {
	at := now.Sub(g.began)
	g.know(plain(address), secondOf(at), at)
}

// Know takes down that a peer has proved itself from an address before the guard began.
func (g *Guard) Know(address netip.Addr) { g.know(plain(address), 1, 0) }

// know takes down when a peer proved itself.
func (g *Guard) know(address netip.Addr, second uint32, at time.Duration) {
	key := g.sources.key(address)
	s := g.sources.lock(key)
	defer s.mu.Unlock()
	p := s.find(key)
	if p == nil {
		p = s.make(key, anyLimit, g.ranks(second))
		p.seen = second
	}
	if !g.isKnown(p, second) {
		p.due = at // another bucket, a full one
	}
	p.known = second
}

// forgive forgets what authnames have failed from an address, and its bans.
func (g *Guard) forgive(address netip.Addr) {
	g.suspects.forget(g.suspects.key(address))
}

// Guesses returns how many credentials were not looked at, for there were too many
// wrong ones before.
func (g *Guard) Guesses() uint64 { return g.unread.Load() }

// BannedByItself returns how many bans the guard has set since the start.
func (g *Guard) BannedByItself() uint64 { return g.banned.Load() }
