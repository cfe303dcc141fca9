package peers

import (
	"slices"

	"sipregd/internal/sipuri"
)

// What follows is for calls to an AOR that nothing may be bound to.

// HasAOR tells whether an AOR that Directory.AOR returned is some peer's.
func (d *Directory) HasAOR(aor sipuri.AOR) bool {
	_, takesAny := d.anyAOR[aor.Domain]
	return d.isNamed(aor) || takesAny && aor.User != ""
}

// StandIn returns the name and the host, with or without a port, of the address that
// stands in for an AOR while nothing is bound to it, by the first peer that has one
// (defaultname, defaulthost). An empty host: there is none.
func (d *Directory) StandIn(aor sipuri.AOR) (name, host string) {
	at, found := d.namedStandIn(aor)
	if !found && !d.isNamed(aor) && aor.User != "" {
		at, found = d.anyAOR[aor.Domain]
	}
	if !found {
		return "", ""
	}
	name, host = sipuri.Unescape(d.peers[at].DefaultName), d.peers[at].DefaultHost
	if name == "" {
		name = aor.User
	}
	return name, host
}

// namedStandIn returns the peer whose address stands in for an AOR that it names.
func (d *Directory) namedStandIn(aor sipuri.AOR) (at uint32, found bool) {
	return d.standIns.find(aor, func(at uint32) bool { return slices.Contains(d.peers[at].AORs, aor) })
}

// addStandIn takes in what stands in for the AORs of a peer. One that is not enabled has
// no say.
func (d *Directory) addStandIn(p *Peer, at uint32) {
	if !p.Enabled {
		return
	}
	if _, there := d.anyAOR[p.Domain]; p.AnyAOR && !there {
		d.anyAOR[p.Domain] = at
	}
	if p.DefaultHost == "" {
		return
	}
	for _, aor := range p.AORs {
		if _, there := d.namedStandIn(aor); !there {
			d.standIns.add(aor, at)
		}
	}
}
