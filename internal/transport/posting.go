package transport

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// post sends a datagram from one address to another, without waiting.
func (s *Server) post(local, to netip.AddrPort, data []byte) error {
	d, from := s.socketAt(local, to.Addr())
	if d == nil {
		return ErrNoFlow
	}
	p := s.postings.Get().(*posting)
	defer s.postings.Put(p)
	p.set(to, data)
	p.setSource(from)
	err := d.raw.Control(p.send)
	p.clear()
	if err != nil { // the socket is closed
		return ErrNoFlow
	}
	return postError(p.failed, from, to)
}

// postError says what it means that a datagram was not sent from one address, if that
// was asked for, to another.
func postError(failed syscall.Errno, from netip.Addr, to netip.AddrPort) error {
	switch {
	case failed == 0:
		return nil
	case failed == unix.EAGAIN || failed == unix.ENOBUFS:
		return ErrBusy
	case failed == unix.EINVAL && from.IsValid(): // the address is this machine's no more
		return fmt.Errorf("%w: nothing sent from %v to %v: %w", ErrNoFlow, from, to, failed)
	}
	return fmt.Errorf("nothing sent to %v: %w", to, failed)
}

// socketAt returns a socket to send from, of the family that to is of: one at that
// address, else one on all addresses with the same port, together with the address to
// send from. The kernel picks that where local is none or of another family. nil:
// there is no such socket.
func (s *Server) socketAt(local netip.AddrPort, to netip.Addr) (d *datagrams, from netip.Addr) {
	for _, one := range s.readers {
		switch {
		case one.local.Addr().Is4() != to.Is4():
		case one.local == local || !local.IsValid():
			return one, netip.Addr{}
		case d == nil && one.several && one.local.Port() == local.Port():
			d = one
		}
	}
	if local.Addr().Is4() == to.Is4() && !local.Addr().IsUnspecified() {
		from = local.Addr()
	}
	return d, from
}

// posting is one datagram that goes out alone. It is used again, since to make one
// takes longer than to send it.
type posting struct {
	header unix.Msghdr
	vector unix.Iovec
	name   [maxName]byte
	// source says which of the machine's addresses it comes from, by whatever
	// interface.
	source struct {
		unix.Cmsghdr
		content [(unix.SizeofInet6Pktinfo + 7) &^ 7]byte
	}
	failed syscall.Errno
	send   func(fd uintptr)
}

func newPosting() any {
	p := new(posting)
	p.send = p.sendBy
	p.header.Name, p.header.Iov = &p.name[0], &p.vector
	p.header.SetIovlen(1)
	return p
}

func (p *posting) clear() { p.vector = unix.Iovec{} }

// set takes down what is sent where to.
func (p *posting) set(to netip.AddrPort, data []byte) {
	p.vector.Base = unsafe.SliceData(data)
	p.vector.SetLen(len(data))
	p.name = [maxName]byte{}
	binary.BigEndian.PutUint16(p.name[2:], to.Port())
	if address := to.Addr(); address.Is4() {
		binary.NativeEndian.PutUint16(p.name[:], unix.AF_INET)
		*(*[4]byte)(p.name[4:]) = address.As4()
		p.header.Namelen = unix.SizeofSockaddrInet4
	} else {
		binary.NativeEndian.PutUint16(p.name[:], unix.AF_INET6)
		*(*[16]byte)(p.name[8:]) = address.As16()
		binary.NativeEndian.PutUint32(p.name[24:], scope(address.Zone()))
		p.header.Namelen = unix.SizeofSockaddrInet6
	}
}

// setSource takes down the address that it comes from, if it is valid.
func (p *posting) setSource(from netip.Addr) {
	p.header.Control = nil
	p.header.SetControllen(0)
	switch {
	case from.Is4(): // ifindex, local address, destination
		p.setControl(unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		*(*[4]byte)(p.source.content[4:]) = from.As4()
	case from.Is6(): // local address, ifindex
		p.setControl(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		*(*[16]byte)(p.source.content[:]) = from.As16()
	}
}

func (p *posting) setControl(level, kind int32, size int) {
	clear(p.source.content[:])
	p.source.Level, p.source.Type = level, kind
	p.source.SetLen(unix.CmsgLen(size))
	p.header.Control = (*byte)(unsafe.Pointer(&p.source))
	p.header.SetControllen(unix.CmsgSpace(size))
}

// sendBy sends by a socket that a reader may send its answers by at the same time.
func (p *posting) sendBy(fd uintptr) {
	_, _, p.failed = unix.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&p.header)), unix.MSG_DONTWAIT)
}

// scope returns the number of a link, which link-local addresses have with them.
func scope(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if number, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(number)
	}
	link, err := net.InterfaceByName(zone)
	if err != nil {
		return 0
	}
	return uint32(link.Index)
}
