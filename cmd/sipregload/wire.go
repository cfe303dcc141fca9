package main

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

const (
	ports   = 8       // that phones send datagrams from
	maxSize = 4096    // bytes of a datagram
	backlog = 4 << 20 // bytes asked of the kernel for responses that wait
)

// link is how phones reach a server.
type link struct {
	transport string // UDP or TCP
	wires     int    // ports or streams
	lanes     int    // that share what is in flight evenly
	sources   int    // addresses of this machine that they are spread over; 0: one
	believed  string // host:port that phones think they have, as behind a NAT; empty: that of their wire
	moves     bool   // phones go to another wire after each registration, and so to another node
}

// wire is a socket that phones send from. It does not wait: what is not there
// yet is taken another time.
type wire struct {
	carrier
	transport string
	local     string // host:port that its phones think they have
	host      string // of their Call-IDs
	realm     string // of the latest challenge
	lane      *lane
	next      *wire // that its phones go to after a registration; nil: they stay
	unsent    bool  // something was put and is not flushed
}

// carrier is what differs between datagrams and streams.
type carrier interface {
	// put adds the request of a phone to what is to be sent.
	put(p *phone)
	// flush sends. It tells whether something is left for another time.
	flush() (left bool, err error)
	// receive hands over responses that have come, each valid until it is used.
	receive(use func(response []byte)) error
	close()
}

// dial opens a wire to a server and has the poller look at it.
func (l *link) dial(server netip.AddrPort, number int, host string, poll *poller) (*wire, error) {
	descriptor, err := l.socket(server, number)
	if err != nil {
		return nil, err
	}
	w := &wire{transport: l.transport, local: l.believed, host: host}
	if l.transport == "TCP" {
		w.carrier = newStream(descriptor, poll.room)
	} else {
		w.carrier = newDatagrams(descriptor)
	}
	err = poll.add(descriptor, number)
	if err == nil && w.local == "" {
		w.local, err = localOf(descriptor)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// socket returns one that is connected.
func (l *link) socket(server netip.AddrPort, number int) (descriptor int, err error) {
	kind := unix.SOCK_DGRAM
	if l.transport == "TCP" {
		kind = unix.SOCK_STREAM
	}
	descriptor, err = unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	err = l.connect(descriptor, server, number)
	if err != nil {
		_ = unix.Close(descriptor)
		return 0, fmt.Errorf("no connection to %s %v: %w", l.transport, server, err)
	}
	return descriptor, nil
}

func (l *link) connect(descriptor int, server netip.AddrPort, number int) error {
	if l.sources > 0 {
		// The port is chosen with the server's address in mind, so that one
		// port serves on many addresses.
		_ = unix.SetsockoptInt(descriptor, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		source := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + number%l.sources)}}
		if err := unix.Bind(descriptor, source); err != nil {
			return err
		}
	}
	if err := unix.Connect(descriptor, &unix.SockaddrInet4{Port: int(server.Port()), Addr: server.Addr().As4()}); err != nil {
		return err
	}
	// These two are helps, not needs.
	if l.transport == "TCP" {
		_ = unix.SetsockoptInt(descriptor, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	} else {
		_ = unix.SetsockoptInt(descriptor, unix.SOL_SOCKET, unix.SO_RCVBUF, backlog)
	}
	return unix.SetNonblock(descriptor, true)
}

func localOf(descriptor int) (string, error) {
	address, err := unix.Getsockname(descriptor)
	if err != nil {
		return "", err
	}
	local, ok := address.(*unix.SockaddrInet4)
	if !ok {
		return "", fmt.Errorf("%T is no address of IPv4", address)
	}
	return netip.AddrPortFrom(netip.AddrFrom4(local.Addr), uint16(local.Port)).String(), nil
}
