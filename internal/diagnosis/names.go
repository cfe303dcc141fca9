package diagnosis

import (
	"slices"
	"strings"

	"sipregd/internal/journal"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

// names finds peers by each of their three names, case aside where it does not
// count or where people mistake it.
type names struct {
	directory  *peers.Directory
	byLabel    map[string]*peers.Peer   // in lower case
	byAuthname map[string][]*peers.Peer // in lower case
	byAOR      map[sipuri.AOR][]*peers.Peer
}

func newNames(directory *peers.Directory) *names {
	size := directory.Len()
	n := &names{
		directory, make(map[string]*peers.Peer, size), make(map[string][]*peers.Peer, size),
		make(map[sipuri.AOR][]*peers.Peer, size),
	}
	for p := range directory.All() {
		authname := strings.ToLower(p.Authname)
		n.byLabel[strings.ToLower(p.Label)] = p
		n.byAuthname[authname] = append(n.byAuthname[authname], p)
		for _, aor := range p.AORs {
			n.byAOR[aor] = append(n.byAOR[aor], p)
		}
	}
	return n
}

// withLabel returns the peer of that label, whatever its case, or nil.
func (n *names) withLabel(label string) *peers.Peer { return n.byLabel[strings.ToLower(label)] }

// withAuthname returns the peers that have the authname, whatever its case, in any
// domain.
func (n *names) withAuthname(authname string) []*peers.Peer {
	return n.byAuthname[strings.ToLower(authname)]
}

// binders returns the peers that name an AOR: those that are enabled, else all.
func (n *names) binders(aor sipuri.AOR) []*peers.Peer {
	all := n.byAOR[aor]
	enabled := slices.DeleteFunc(slices.Clone(all), func(p *peers.Peer) bool { return !p.Enabled })
	if len(enabled) == 0 {
		return all
	}
	return enabled
}

// peerOf returns the peer that an event is about: that which proved itself, or
// whose authname was claimed. Nil: of nobody, or of one that is gone since.
func (n *names) peerOf(e *journal.Event) *peers.Peer {
	if e.Label != "" {
		if p := n.withLabel(e.Label); p != nil {
			return p
		}
	}
	if e.Authname == "" {
		return nil
	}
	if p := n.directory.ByAuthname(e.AOR.Domain, e.Authname); p != nil || e.Reason == journal.UnknownAuthname {
		return p
	}
	// The domain that counts is that of the Request-URI, and To may name another.
	for _, p := range n.withAuthname(e.Authname) {
		if p.Authname == e.Authname {
			return p
		}
	}
	return nil
}
