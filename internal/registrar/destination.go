package registrar

import (
	"net/netip"
	"slices"
	"strings"

	"sipregd/internal/journal"
	"sipregd/internal/message"
	"sipregd/internal/sipuri"
)

// Here is the machine that the daemon runs on.
type Here struct {
	Sockets  []Socket       // that the daemon listens at
	Networks []netip.Prefix // the machine's addresses, each with the length of its network
}

// Socket is where the daemon listens.
type Socket struct {
	Transport string         // "udp", "tcp", "tls", "ws" or "wss"
	Address   netip.AddrPort // 0.0.0.0 and :: stand for each address of the machine
}

// listensAt tells whether something sent there comes to the daemon. Of a transport that
// is not known none is left out.
func (h *Here) listensAt(transport string, address netip.Addr, port uint16) bool {
	return slices.ContainsFunc(h.Sockets, func(s Socket) bool {
		at := s.Address.Addr().Unmap()
		return s.Address.Port() == port && (s.Transport == transport || transport == "") &&
			(at == address || at.IsUnspecified() && h.has(address))
	})
}

// has tells whether the address is one of the machine's.
func (h *Here) has(address netip.Addr) bool {
	return address.IsLoopback() || slices.ContainsFunc(h.Networks, func(n netip.Prefix) bool { return n.Addr().Unmap() == address })
}

// broadcasts tells whether what is sent to the address comes to all of a network.
func (h *Here) broadcasts(address netip.Addr) bool {
	if address == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return true
	}
	return slices.ContainsFunc(h.Networks, func(n netip.Prefix) bool {
		return n.Addr().Is4() && n.Bits() < 31 && n.Contains(address) && address == lastOf(n)
	})
}

// lastOf returns the last address of an IPv4 network.
func lastOf(network netip.Prefix) netip.Addr {
	bytes := network.Addr().As4()
	for bit := network.Bits(); bit < 32; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(bytes)
}

// checkDestination refuses a Contact, or the first of Path, that has whoever follows it
// send to where no phone is: requests to there would hit somebody else, or come back
// here. This is not in the RFC. Names are not looked up.
func (g *registration) checkDestination(field string, uri *sipuri.URI, text string) *message.Response {
	if why := g.misleads(uri); why != "" {
		return g.End(403, field+" Address Not Allowed", journal.ContactMisleads, "the "+field+" is "+text+": "+why)
	}
	return nil
}

// misleads says what is wrong with where a URI leads to, empty for nothing. maddr stands
// in for the host (§19.1.1), for who knows it.
func (g *registration) misleads(uri *sipuri.URI) (why string) {
	if !uri.IsSIP() {
		return ""
	}
	if why = g.misleadsTo(uri, uri.Host); why != "" || uri.Params == "" {
		return why
	}
	maddr, found := uri.Param("maddr")
	switch {
	case !found:
		return ""
	case !sipuri.IsHost(maddr):
		return "its maddr is no host"
	}
	return g.misleadsTo(uri, maddr)
}

func (g *registration) misleadsTo(uri *sipuri.URI, host string) (why string) {
	address, isAddress := sipuri.HostAddr(host)
	if !isAddress {
		return g.misleadsByName(host)
	}
	switch address = address.Unmap(); {
	case reachesNobody(address):
		return host + " is nobody's address"
	case address.IsMulticast() || g.here.broadcasts(address):
		return host + " is the address of many"
	case address.IsLoopback() && !g.comesFromHere(), address.IsLinkLocalUnicast() && !g.comesFromNearby():
		return host + " is another place for each machine, and the phone is at " + g.request.Flow.Source.Addr().Unmap().String()
	case g.isFollowedHere(uri, address):
		return "this server itself listens there"
	}
	return ""
}

// comesFromHere tells whether the request comes from this machine.
func (g *registration) comesFromHere() bool {
	source := g.request.Flow.Source.Addr().Unmap()
	return source == g.request.Flow.Local.Addr().Unmap() || g.here.has(source)
}

// comesFromNearby tells whether it comes from this machine's link.
func (g *registration) comesFromNearby() bool {
	return g.request.Flow.Source.Addr().Unmap().IsLinkLocalUnicast() || g.comesFromHere()
}

// isFollowedHere tells whether who follows the URI, with that address for its host, comes
// to the daemon: to one of its sockets, or that which the request came to.
func (g *registration) isFollowedHere(uri *sipuri.URI, address netip.Addr) bool {
	transport, port := nextHop(uri)
	local := g.request.Flow.Local
	return g.here.listensAt(transport, address, port) || local.Port() == port && local.Addr().Unmap() == address &&
		(transport == "" || strings.EqualFold(transport, g.request.Flow.Transport))
}

// reachesNobody tells whether an address stands for none: that of no machine, of this
// network (RFC 1122 §3.2.1.3), or one that IPv6 once had for IPv4 (RFC 4291 §2.5.5.1).
func reachesNobody(address netip.Addr) bool {
	if address.Is4() {
		return address.As4()[0] == 0
	}
	bytes := address.As16()
	return [12]byte(bytes[:]) == [12]byte{} && !address.IsLoopback()
}

// misleadsByName judges a host that is no address. Some programs take 127.1 or
// 0x7f000001 for one.
func (g *registration) misleadsByName(host string) (why string) {
	name := sipuri.CanonicalHost(host)
	last := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case isNumber(last):
		return host + " is neither a name nor an address"
	case last == "localhost" && !g.comesFromHere(): // RFC 6761 §6.3
		return host + " is another place for each machine"
	}
	return ""
}

// isNumber tells whether some programs read a number of IPv4 in a label.
func isNumber(label string) bool {
	digits, isHex := strings.CutPrefix(label, "0x")
	if isHex {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// nextHop returns by which transport a URI is followed where its host is an address, and
// to which port (RFC 3263 §4.1, §4.2; RFC 7118 §5). An empty transport may be any.
func nextHop(uri *sipuri.URI) (transport string, port uint16) {
	transport, found := uri.Param("transport")
	transport = strings.ToLower(transport)
	isSecure := uri.Scheme == "sips"
	switch {
	case isSecure && transport == "ws":
		transport = "wss"
	case isSecure && (!found || transport == "tcp"):
		transport = "tls"
	case !found:
		transport = "udp"
	}
	port = 5060
	switch transport {
	case "udp", "tcp":
	case "tls":
		port = 5061
	case "ws":
		port = 80
	case "wss":
		port = 443
	default:
		transport = ""
	}
	if uri.Port != 0 {
		port = uri.Port
	}
	return transport, port
}
