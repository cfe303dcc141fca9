// Package guard says who is listened to, by the source address alone and before
// anything is parsed. A source is an IPv4 address or a /64 of IPv6. It is known while a
// peer has proved itself from there lately: known ones have tokens of their own, so that
// no flood of strangers starves phones. All that is remembered of sources has its place
// in tables that never grow.
package guard

import (
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"sipregd/internal/journal"
)

const (
	// MaxSources is how many sources are remembered, in 7.6 MB.
	MaxSources = ways * sourceSets
	sourceSets = 1 << 15

	// MaxGuesses is how many authnames that failed are remembered, each of a source.
	MaxGuesses = 2 * ways * guessSets
	guessSets  = 1 << 11

	// MaxSuspects is how many sources that failed are remembered.
	MaxSuspects = ways * suspectSets
	suspectSets = 1 << 11
)

// Options are what New needs. Rates are in requests a second, 0: no limit.
type Options struct {
	Journal     journal.Journal
	Clock       func() time.Time // nil: time.Now
	Rate        int              // of each source that is not known
	UnknownRate int              // of all those together
	KnownRate   int              // of each that is
	Ban         bool             // sources that fail with many authnames
	// KnownFor is how long a source is known after a peer has proved itself, a day at
	// least.
	KnownFor time.Duration
	Trusted  []netip.Prefix // are never limited, nor banned but by Guard.Ban
	// Banned is told of bans that the guard sets, with the address that was the last to
	// fail. nil: nobody is.
	Banned func(Ban, netip.Addr)
}

// Guard judges sources. It may be used by many goroutines at once.
type Guard struct {
	options Options
	journal journal.Journal
	clock   func() time.Time
	began   time.Time

	limited    bool // some rate is set
	own, known rate
	strangers  shared
	telling    shared // events of what was dropped
	banning    shared // automatic bans
	trusted    []netip.Prefix

	knownSeconds uint32
	sources      *table[place]
	guesses      [2]*table[guesses] // [1]: surely from that source
	suspects     *table[suspect]

	changes sync.Mutex           // of bans
	bans    atomic.Pointer[bans] // nil: nobody is banned
	limit   int                  // bans at once

	over   [limits]atomic.Uint64
	unread atomic.Uint64
	banned atomic.Uint64
}

// New returns a guard that keeps nobody out yet.
func New(o Options) *Guard {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	g := &Guard{
		options: o, journal: o.Journal, clock: o.Clock, began: o.Clock(), limit: maxBans,
		limited: o.Rate > 0 || o.UnknownRate > 0 || o.KnownRate > 0,
		own:     perSecond(o.Rate), known: perSecond(o.KnownRate), trusted: o.Trusted,
		knownSeconds: uint32(min(max(o.KnownFor, knownAtLeast)/time.Second, math.MaxUint32)),
		sources:      newTable[place](sourceSets), suspects: newTable[suspect](suspectSets),
	}
	g.strangers.rate, g.telling.rate, g.banning.rate = perSecond(o.UnknownRate), perSecond(tellTogether), perSecond(bansAtOnce)
	for i := range g.guesses {
		g.guesses[i] = newTable[guesses](guessSets)
	}
	return g
}
