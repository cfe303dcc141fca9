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
func openUDP(network, address string) (*net.UDPConn, error) {
	config := net.ListenConfig{Control: SharePort}
	conn, err := config.ListenPacket(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// enlargeBuffer has the kernel keep as much for an inherited socket as for one of our own.
// What root has granted may be more than that, and stays.
func enlargeBuffer(conn *net.UDPConn) {
	own, err := net.ListenPacket("udp", ":0")
	if err != nil {
		return
	}
	defer own.Close()
	_ = own.(*net.UDPConn).SetReadBuffer(receiveBacklog)
	if readBuffer(own.(*net.UDPConn)) > readBuffer(conn) {
		_ = conn.SetReadBuffer(receiveBacklog)
	}
}

func readBuffer(conn *net.UDPConn) (size int) {
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { size, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) })
	}
	return size
}

// openTCP opens a listener, which another process may have too if it is shared.
func openTCP(network, address string, shared bool) (*net.TCPListener, error) {
	config := net.ListenConfig{}
	if shared {
		config.Control = SharePort
	}
	listener, err := config.Listen(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	return listener.(*net.TCPListener), nil
}

// SharePort lets sockets of one account share an address (socket(7), SO_REUSEPORT). It is
// for net.ListenConfig.
func SharePort(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	return errors.Join(err, failed)
}

// withdraw has the kernel give what comes from now on to the sockets that another process
// has at the same address: one that is connected takes from its peer alone, here from the
// port where nobody is. What has come before can still be read, and answers be sent. It
// tells whether that came about.
func withdraw(raw syscall.RawConn, local netip.Addr) bool {
	var err error
	failed := raw.Control(func(fd uintptr) { err = unix.Connect(int(fd), nobody(local)) })
	return failed == nil && err == nil
}

// nobody returns where nobody is, on this machine.
func nobody(local netip.Addr) unix.Sockaddr {
	const discard = 9 // a service that nobody has any more
	switch {
	case !local.IsUnspecified():
	case local.Is4():
		local = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		local = netip.IPv6Loopback()
	}
	if local.Is4() {
		return &unix.SockaddrInet4{Port: discard, Addr: local.As4()}
	}
	return &unix.SockaddrInet6{Port: discard, Addr: local.As16(), ZoneId: scope(local.Zone())}
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
