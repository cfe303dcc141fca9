package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Inherited are sockets that another process has opened and keeps, as systemd does for a
// socket unit. What comes while no daemon runs waits there for the next one.
type Inherited struct{ sockets []*inheritedSocket }

// inheritedSocket is one of them, a UDP socket or a listener.
type inheritedSocket struct {
	name    string // as in "udp 0.0.0.0:5060"
	packets *net.UDPConn
	streams *net.TCPListener
	taken   bool
}

// Inherit takes over sockets and closes the files. One that cannot be taken is an error.
func Inherit(files []*os.File) (*Inherited, error) {
	in := &Inherited{}
	var faults []error
	for _, file := range files {
		socket, err := inheritSocket(file)
		if socket != nil {
			in.sockets = append(in.sockets, socket)
		}
		faults = append(faults, err)
		file.Close()
	}
	if err := errors.Join(faults...); err != nil {
		in.Close()
		return nil, err
	}
	return in, nil
}

func inheritSocket(file *os.File) (*inheritedSocket, error) {
	if conn, err := net.FilePacketConn(file); err == nil {
		if packets, isUDP := conn.(*net.UDPConn); isUDP {
			return &inheritedSocket{name: nameOf(packets.LocalAddr()), packets: packets}, checkFamily(packets, packets.LocalAddr())
		}
		conn.Close()
	} else if listener, err := net.FileListener(file); err == nil {
		if streams, isTCP := listener.(*net.TCPListener); isTCP {
			return &inheritedSocket{name: nameOf(streams.Addr()), streams: streams}, checkFamily(streams, streams.Addr())
		}
		listener.Close()
	}
	return nil, fmt.Errorf("%s is neither a UDP socket nor a TCP listener", file.Name())
}

func nameOf(address net.Addr) string { return address.Network() + " " + address.String() }

// checkFamily sees to it that a socket on all addresses speaks one family, as those do
// that are opened here. That cannot be changed any more.
func checkFamily(conn syscall.Conn, address net.Addr) error {
	if host, _, _ := net.SplitHostPort(address.String()); host != "::" {
		return nil
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	only := 0
	failed := raw.Control(func(fd uintptr) { only, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY) })
	if failed != nil || err != nil {
		return errors.Join(failed, err)
	}
	if only == 0 {
		return fmt.Errorf("%s takes IPv4 too: write BindIPv6Only=ipv6-only into the socket unit, and 0.0.0.0 as an address of its own", nameOf(address))
	}
	return nil
}

// Names returns what there is, as "udp 0.0.0.0:5060".
func (in *Inherited) Names() (names []string) {
	for _, socket := range in.sockets {
		names = append(names, socket.name)
	}
	return names
}

// Close closes those that nobody has taken. Their other owner still has them.
func (in *Inherited) Close() {
	for _, socket := range in.sockets {
		switch {
		case socket.taken:
		case socket.packets != nil:
			socket.packets.Close()
		default:
			socket.streams.Close()
		}
	}
}

// take returns the sockets at an address, on a network such as "udp4".
func (in *Inherited) take(network, address string) (sockets []*inheritedSocket) {
	if in == nil || len(in.sockets) == 0 {
		return nil
	}
	name := nameOn(network, address)
	for _, socket := range in.sockets {
		if !socket.taken && socket.name == name {
			socket.taken = true
			sockets = append(sockets, socket)
		}
	}
	return sockets
}

// Differences says what does not match where to listen, if there are any sockets at all.
func (in *Inherited) Differences(addresses Addresses) (differences []string) {
	if len(in.sockets) == 0 {
		return nil
	}
	names, wanted := in.Names(), addresses.names()
	for _, name := range names {
		if !slices.Contains(wanted, name) {
			differences = append(differences, fmt.Sprintf("systemd holds %s, which is no address of [listen]: nobody is answered there", name))
		}
	}
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			differences = append(differences, fmt.Sprintf("systemd does not hold %s, an address of [listen]: what comes there during a restart is lost", name))
		}
	}
	return differences
}

// names returns what sockets there would be for all addresses.
func (a *Addresses) names() (names []string) {
	for _, kind := range [...]struct {
		network   string
		addresses []string
	}{{"udp", a.UDP}, {"tcp", slices.Concat(a.TCP, a.TLS, a.MutualTLS, a.WS, a.WSS)}} {
		for _, address := range kind.addresses {
			families, _ := networks(kind.network, address) // what is wrong is told when it is listened on
			for _, network := range families {
				names = append(names, nameOn(network, address))
			}
		}
	}
	return names
}

// nameOn returns what a socket at an address is called, on a network such as "udp4".
func nameOn(network, address string) string {
	kind, family := network[:3], network[3:]
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return kind + " " + address
	}
	return kind + " " + net.JoinHostPort(numeric(family, host), port)
}

// numeric returns a host as a number: what stands for all addresses of a family, "4" or
// "6", if there is none. What cannot be resolved stays as it is.
func numeric(family, host string) string {
	switch {
	case host == "" && family == "6":
		return netip.IPv6Unspecified().String()
	case host == "":
		return netip.IPv4Unspecified().String()
	}
	ip, err := resolve("ip"+family, host)
	if err != nil {
		return host
	}
	return ip.String()
}
