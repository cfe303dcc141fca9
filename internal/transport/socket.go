package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	errAddrInUse        = syscall.EADDRINUSE
	errNotPermitted     = syscall.EACCES
	errAddrNotAvailable = syscall.EADDRNOTAVAIL
)

// probe fails where somebody else has the address already. Without it a second
// daemon would share the port by SO_REUSEPORT and take half of the phones.
func probe(network, address string) (netip.AddrPort, error) {
	conn, err := net.ListenPacket(network, address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort(), nil
}

// openUDP opens one of several sockets that share an address; the kernel keeps
// each source with one of them.
func openUDP(network string, address netip.AddrPort) (*net.UDPConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		if err != nil {
			return err
		}
		return failed
	}}
	conn, err := config.ListenPacket(context.Background(), network, address.String())
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// noFamily tells that the machine lacks an address family altogether.
func noFamily(err error) bool {
	for _, number := range []syscall.Errno{syscall.EAFNOSUPPORT, syscall.EADDRNOTAVAIL, syscall.EPROTONOSUPPORT} {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}
