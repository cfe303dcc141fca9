package diagnosis

import (
	"net/netip"
	"slices"
	"strings"

	"sipregd/internal/journal"
	"sipregd/internal/peers"
)

// Concerns returns what tells whether an event is about the peers of a name though
// it does not hold the name itself. Before a phone has proved who it is its label is
// not known, nor its authname before it has answered a challenge.
func Concerns(name string, directory *peers.Directory) func(e *journal.Event) bool {
	asked := directory.ReadAOR(strings.TrimPrefix(strings.TrimPrefix(name, "sips:"), "sip:"))
	var known, binders []*peers.Peer // by label or authname; by AOR
	for p := range directory.All() {
		switch {
		case strings.EqualFold(p.Label, name) || p.Authname == name:
			known = append(known, p)
		case slices.Contains(p.AORs, asked):
			binders = append(binders, p)
		}
	}
	address, err := netip.ParseAddr(name)
	return func(e *journal.Event) bool {
		if err == nil && e.Reason == journal.Banned {
			return keepsOut(e, address.Unmap())
		}
		return slices.ContainsFunc(known, func(p *peers.Peer) bool { return isPhoneOf(directory, p, e) }) ||
			slices.ContainsFunc(binders, func(p *peers.Peer) bool { return isLost(p, e) })
	}
}

// Follow returns what tells whether an event may be what came of others: it has the
// Call-ID of a challenge among them.
func Follow(events []journal.Event) func(e *journal.Event) bool {
	challenged := map[string]bool{}
	for i := range events {
		if events[i].Kind == journal.Challenged {
			challenged[events[i].CallID] = true
		}
	}
	return func(e *journal.Event) bool { return challenged[e.CallID] }
}

// isPhoneOf tells whether an event may be of a peer's phone: nobody else has
// claimed it, and the AOR is the peer's.
func isPhoneOf(directory *peers.Directory, p *peers.Peer, e *journal.Event) bool {
	switch {
	case e.Label != "":
		return strings.EqualFold(e.Label, p.Label)
	case e.Authname == p.Authname:
		return true
	case e.Authname != "" && directory.ByAuthname(e.AOR.Domain, e.Authname) != nil:
		return false
	}
	return slices.Contains(p.AORs, e.AOR)
}

// isLost tells whether a peer's phone has asked for an AOR that is not the peer's:
// it may have been meant to ask for one that is.
func isLost(p *peers.Peer, e *journal.Event) bool {
	return e.Kind == journal.Refused && e.Authname == p.Authname && !slices.Contains(p.AORs, e.AOR)
}

// Bans returns what tells whether an event is of a ban that keeps out where others
// came from, or of a rate that slows it.
func Bans(events []journal.Event) func(e *journal.Event) bool {
	sources := map[netip.Addr]bool{}
	for i := range events {
		sources[events[i].Source.Addr()] = true
	}
	return func(e *journal.Event) bool {
		if e.Reason != journal.Banned {
			return e.Reason == journal.TooManyRequests && sources[e.Source.Addr()]
		}
		for source := range sources {
			if keepsOut(e, source) {
				return true
			}
		}
		return false
	}
}

// keepsOut tells whether a ban is of a network that holds an address. Its event
// names just one of those that it keeps out.
func keepsOut(ban *journal.Event, address netip.Addr) bool {
	network, err := netip.ParsePrefix(bannedNetwork(ban))
	return ban.Source.Addr() == address || err == nil && network.Contains(address)
}

// bannedNetwork returns the address or network of a ban, which its detail begins with.
func bannedNetwork(ban *journal.Event) string {
	network, _, _ := strings.Cut(ban.Detail, " is banned")
	return network
}
