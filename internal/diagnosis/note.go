package diagnosis

import (
	"fmt"
	"net/netip"
	"time"

	"sipregd/internal/peers"
)

const stamp = time.DateTime + " UTC"

// Nothing says what it means that no events of a name are remembered since then.
// registered: there is a binding all the same. The name is one that somebody asked
// for.
func Nothing(name string, directory *peers.Directory, registered bool, since time.Time) string {
	p := find(name, directory)
	switch {
	case name == "":
		return fmt.Sprintf("No phone has failed since %s.", since.UTC().Format(stamp))
	case registered:
		return fmt.Sprintf("Nothing else is remembered since %s.", since.UTC().Format(stamp))
	case p != nil:
		return fmt.Sprintf("%s has authname = %s and aorname = %s (%s), and nothing that could be its phone has come since %s. "+
			"Look whether the phone has network and this server's address, port and transport, and whether a packet filter keeps it off.",
			p, p.Authname, aornames(p), directory.Where(p), since.UTC().Format(stamp))
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return fmt.Sprintf("Nothing has come from %s since %s, or nothing that could be read as SIP. "+
			"Look whether the phone has this server's address, port and transport, and whether a packet filter or a NAT is between.",
			shown(name), since.UTC().Format(stamp))
	}
	return fmt.Sprintf("Nothing has come with that name since %s, and no peer has it as label, authname or aorname. "+
		"sipregctl peers lists them; sipregctl why without a name shows all that failed.", since.UTC().Format(stamp))
}

// find returns the peer that has the name as one of its three.
func find(name string, directory *peers.Directory) *peers.Peer {
	if p := directory.ByLabel(name); p != nil {
		return p
	}
	if p := directory.BinderOf(directory.ReadAOR(name)); p != nil {
		return p
	}
	for p := range directory.All() {
		if p.Authname == name {
			return p
		}
	}
	return nil
}

// NotYet says what it means that events of a name are remembered, and none is news.
func NotYet(name string) string {
	return fmt.Sprintf("%s has come, and nothing has failed so far.", shown(name))
}

// UnderWay says that a phone is trying just now.
func UnderWay() string {
	return fmt.Sprintf("An attempt is under way: a phone may take %d seconds to answer a challenge. Ask again then.", answerTime/time.Second)
}

// Forgetful says that no events are remembered.
func Forgetful() string {
	return "No events are remembered, so that nothing can be told: [admin] recent_memory is 0 in sipregd.conf."
}

func aornames(p *peers.Peer) string {
	list := joined(p.AORs)
	switch {
	case !p.AnyAOR:
		return list
	case list == "":
		return "*"
	}
	return list + ", *"
}
