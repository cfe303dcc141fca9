package guard

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"sipregd/internal/journal"
)

const (
	maxBans     = 10000
	widestIPv4  = 8 // bits of a network that may be banned, at least
	widestIPv6  = 16
	tooManyBans = "there are %d bans already: lift some first, or ban a larger network"
)

// Ban keeps a network out.
type Ban struct {
	Network   netip.Prefix
	Until     time.Time // zero: until it is lifted
	Dropped   uint64    // messages and streams
	Automatic bool      // set by the guard, not by the administrator
	Why       string    // of an automatic one
}

// By returns who has set it, as the API and the log have it.
func (b *Ban) By() string {
	if b.Automatic {
		return "sipregd"
	}
	return "administrator"
}

// ban is a Ban in force.
type ban struct {
	network   netip.Prefix
	until     time.Time
	automatic bool
	why       string
	dropped   atomic.Uint64
	told      atomic.Int64 // Unix time in nanoseconds of the last event
}

func (b *ban) holds(now time.Time) bool { return b.until.IsZero() || now.Before(b.until) }

func (b *ban) public() Ban { return Ban{b.network, b.until, b.dropped.Load(), b.automatic, b.why} }

// bans is all bans at one time. It is not changed once made.
type bans struct {
	of      map[netip.Prefix]*ban
	lengths [2][]int // the lengths of networks in bits, each once; of IPv4 and IPv6
}

// keepsOut tells whether an address is banned now, and then takes down what came from
// there.
func (g *Guard) keepsOut(address netip.Addr, source netip.AddrPort, transport string, now time.Time) bool {
	all := g.bans.Load()
	if all == nil { // as a rule
		return false
	}
	b := all.find(address, now)
	if b == nil {
		return false
	}
	b.dropped.Add(1)
	g.tell(b, source, transport, now)
	return true
}

// KeepsOut tells whether an address is banned now, and counts nothing.
func (g *Guard) KeepsOut(address netip.Addr, now time.Time) bool {
	all := g.bans.Load()
	return all != nil && all.find(plain(address), now) != nil
}

// find returns a ban that holds now, or nil.
func (all *bans) find(address netip.Addr, now time.Time) *ban {
	for _, bits := range all.lengths[family(address)] {
		network, _ := address.Prefix(bits)
		if b := all.of[network]; b != nil && b.holds(now) {
			return b
		}
	}
	return nil
}

// family is the place of an address in lengths.
func family(address netip.Addr) int {
	if address.Is4() {
		return 0
	}
	return 1
}

// tell takes down that somebody was kept out, once in a while.
func (g *Guard) tell(b *ban, source netip.AddrPort, transport string, now time.Time) {
	last := b.told.Load()
	if now.UnixNano()-last < int64(tellPause) && last != 0 || !b.told.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	g.journal.Record(journal.Event{
		Kind: journal.Refused, Reason: journal.Banned, Source: source, Transport: transport,
		Detail: fmt.Sprintf("%s is banned %s%s", Text(b.network), lasting(b.until), b.because()),
	})
}

// because says why the guard has set a ban.
func (b *ban) because() string {
	if !b.automatic {
		return ""
	}
	return ", by itself: " + b.why
}

func lasting(until time.Time) string {
	if until.IsZero() {
		return "until the ban is lifted"
	}
	return "until " + until.UTC().Format(time.RFC3339)
}

// Ban keeps a network out for a while, or until Lift for 0. It takes the place of
// an earlier ban of the same network.
func (g *Guard) Ban(network netip.Prefix, now time.Time, lasts time.Duration) (Ban, error) {
	if network.Addr().Is4() && network.Bits() < widestIPv4 || network.Addr().Is6() && network.Bits() < widestIPv6 {
		return Ban{}, fmt.Errorf("%s is too much of the Internet to ban: write a network of /%d (IPv6: /%d) or smaller", network, widestIPv4, widestIPv6)
	}
	next := &ban{network: network}
	if lasts > 0 {
		next.until = now.Add(lasts)
	}
	return g.ban(next, now)
}

// ban puts a ban in force.
func (g *Guard) ban(next *ban, now time.Time) (Ban, error) {
	g.changes.Lock()
	defer g.changes.Unlock()
	inForce := g.inForce(now)
	if _, known := inForce[next.network]; !known && len(inForce) >= g.limit {
		return Ban{}, fmt.Errorf(tooManyBans, len(inForce))
	}
	inForce[next.network] = next
	g.store(inForce)
	return next.public(), nil
}

// Lift ends a ban and tells whether there was one. What its source did is forgiven.
func (g *Guard) Lift(network netip.Prefix, now time.Time) bool {
	g.forgive(network.Addr())
	g.changes.Lock()
	defer g.changes.Unlock()
	inForce := g.inForce(now)
	_, known := inForce[network]
	delete(inForce, network)
	g.store(inForce)
	return known
}

// List returns the bans in force, in the order of their networks.
func (g *Guard) List(now time.Time) []Ban {
	var list []Ban
	for _, b := range g.inForce(now) {
		list = append(list, b.public())
	}
	slices.SortFunc(list, func(a, b Ban) int { return a.Network.Compare(b.Network) })
	return list
}

// inForce returns a map of its own.
func (g *Guard) inForce(now time.Time) map[netip.Prefix]*ban {
	all := g.bans.Load()
	if all == nil {
		return map[netip.Prefix]*ban{}
	}
	inForce := maps.Clone(all.of)
	maps.DeleteFunc(inForce, func(_ netip.Prefix, b *ban) bool { return !b.holds(now) })
	return inForce
}

func (g *Guard) store(of map[netip.Prefix]*ban) {
	if len(of) == 0 {
		g.bans.Store(nil)
		return
	}
	all := &bans{of: of}
	for network := range of {
		lengths := &all.lengths[family(network.Addr())]
		if !slices.Contains(*lengths, network.Bits()) {
			*lengths = append(*lengths, network.Bits())
		}
	}
	g.bans.Store(all)
}

// Text returns a network as people write it: one address without its bits.
func Text(network netip.Prefix) string {
	if network.IsSingleIP() {
		return network.Addr().String()
	}
	return network.String()
}
