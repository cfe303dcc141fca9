package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of recvmmsg(2) and sendmmsg(2): a datagram, and how
// many bytes of it were received or sent.
type mmsghdr struct {
	unix.Msghdr
	length uint32
}

const (
	maxDatagram = 65535 // bytes
	// bufferStride is how far apart the beginnings of buffers are. At 64 KB all
	// would lie in the same few lines of a processor's cache.
	bufferStride = 64<<10 + 11*64
	maxName      = unix.SizeofSockaddrInet6 // bytes of a socket address, of either family
	maxControl   = 64                       // bytes of control messages beside a datagram
)

// incoming is room for a batch of datagrams. It is made once, since to set out a
// batch takes longer than to handle one.
type incoming struct {
	headers  []mmsghdr
	iovecs   []unix.Iovec
	buffers  []byte
	names    [][maxName]byte
	controls [][maxControl]byte
	zones    map[uint32]string // names of the links that datagrams came by
}

func newIncoming(size int) *incoming {
	in := &incoming{
		headers: make([]mmsghdr, size), iovecs: make([]unix.Iovec, size),
		buffers: make([]byte, size*bufferStride),
		names:   make([][maxName]byte, size), controls: make([][maxControl]byte, size),
		zones: map[uint32]string{},
	}
	for i := range in.headers {
		in.iovecs[i].Base = &in.buffers[i*bufferStride]
		in.iovecs[i].SetLen(maxDatagram)
		h := &in.headers[i].Msghdr
		h.Iov, h.Name, h.Control = &in.iovecs[i], &in.names[i][0], &in.controls[i][0]
		h.SetIovlen(1)
	}
	in.clear(size)
	return in
}

// clear makes room again for as many datagrams as were there.
func (in *incoming) clear(used int) {
	for i := range used {
		h := &in.headers[i].Msghdr
		h.Namelen = maxName
		h.SetControllen(maxControl)
	}
}

// data is what the i-th datagram holds.
func (in *incoming) data(i int) []byte {
	return in.buffers[i*bufferStride:][:in.headers[i].length]
}

// source is where the i-th datagram came from.
func (in *incoming) source(i int) netip.AddrPort {
	name := &in.names[i]
	port := binary.BigEndian.Uint16(name[2:])
	if binary.NativeEndian.Uint16(name[:]) == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(name[4:])), port)
	}
	address := netip.AddrFrom16([16]byte(name[8:])).Unmap()
	if scope := binary.NativeEndian.Uint32(name[24:]); scope != 0 && address.IsLinkLocalUnicast() {
		address = address.WithZone(in.zone(scope))
	}
	return netip.AddrPortFrom(address, port)
}

// zone returns the name of a link, its number where it has none.
func (in *incoming) zone(scope uint32) string {
	name, known := in.zones[scope]
	if known {
		return name
	}
	name = strconv.FormatUint(uint64(scope), 10)
	if link, err := net.InterfaceByIndex(int(scope)); err == nil {
		name = link.Name
	}
	in.zones[scope] = name
	return name
}

// destination is the address that the i-th datagram came to, where the kernel
// was asked to say so. As a side effect its control message is made fit for the
// answer, which then comes from that address (RFC 3581 §4), by whatever interface.
func (in *incoming) destination(i int) netip.Addr {
	h := &in.headers[i].Msghdr
	if h.Controllen < unix.SizeofCmsghdr {
		return netip.Addr{}
	}
	header := (*unix.Cmsghdr)(unsafe.Pointer(&in.controls[i]))
	content := in.controls[i][unix.CmsgLen(0):]
	var address netip.Addr
	switch {
	case header.Level == unix.IPPROTO_IP && header.Type == unix.IP_PKTINFO: // ifindex, local address, destination
		binary.NativeEndian.PutUint32(content, 0)
		address = netip.AddrFrom4([4]byte(content[8:]))
	case header.Level == unix.IPPROTO_IPV6 && header.Type == unix.IPV6_PKTINFO: // destination, ifindex
		binary.NativeEndian.PutUint32(content[16:], 0)
		address = netip.AddrFrom16([16]byte(content))
	}
	if address.IsMulticast() { // no answer can come from there
		h.SetControllen(0)
	}
	return address
}

// receive takes as many datagrams as there are. Since it does not wait, the
// scheduler need not be told of the call: it would take the processor away from
// a reader that passes on hundreds of datagrams, and give it back at some cost.
func (in *incoming) receive(fd uintptr) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&in.headers[0])),
		uintptr(len(in.headers)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// outgoing is datagrams to send, each in answer to one of a batch.
type outgoing struct {
	headers []mmsghdr
	iovecs  []unix.Iovec
	names   [][maxName]byte // of those that go to another port than they came from
	answers []int           // which of the batch each answers
}

func newOutgoing(size int) *outgoing {
	return &outgoing{
		headers: make([]mmsghdr, 0, size), iovecs: make([]unix.Iovec, size),
		names: make([][maxName]byte, size), answers: make([]int, 0, size),
	}
}

func (out *outgoing) clear() { out.headers, out.answers = out.headers[:0], out.answers[:0] }

// add appends an answer to the i-th datagram. With local it comes from the address
// that was asked.
func (out *outgoing) add(in *incoming, i int, data []byte, to netip.AddrPort, local bool) {
	at := len(out.headers)
	out.headers = append(out.headers, mmsghdr{})
	out.answers = append(out.answers, i)
	out.setData(at, data)
	h, asked := &out.headers[at].Msghdr, &in.headers[i].Msghdr
	h.Iov = &out.iovecs[at]
	h.SetIovlen(1)
	h.Name, h.Namelen = asked.Name, asked.Namelen
	if binary.BigEndian.Uint16(in.names[i][2:]) != to.Port() { // the address is the source's in any case
		out.names[at] = in.names[i]
		binary.BigEndian.PutUint16(out.names[at][2:], to.Port())
		h.Name = &out.names[at][0]
	}
	if local {
		h.Control, h.Controllen = asked.Control, asked.Controllen
	}
}

func (out *outgoing) setData(at int, data []byte) {
	out.iovecs[at].Base = unsafe.SliceData(data)
	out.iovecs[at].SetLen(len(data))
}

// send sends what is left from the first on, as far as it can without waiting.
func (out *outgoing) send(fd uintptr, first int) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&out.headers[first])),
		uintptr(len(out.headers)-first), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// askDestination has the kernel say which address each datagram came to.
func askDestination(raw syscall.RawConn, network string) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		if network == "udp6" {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		} else {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
	})
	if err != nil {
		return err
	}
	return failed
}

// isHalfFull tells whether half of what the kernel keeps for a socket to read is
// taken. A kernel that does not say so (before 4.12) is never half full.
func isHalfFull(fd uintptr) bool {
	memory, known := socketMemory(fd)
	return known && memory[unix.SK_MEMINFO_RMEM_ALLOC] > memory[unix.SK_MEMINFO_RCVBUF]/2
}

// socketMemory returns what the kernel says of a socket's memory (socket(7),
// SO_MEMINFO).
func socketMemory(fd uintptr) (memory [unix.SK_MEMINFO_VARS]uint32, known bool) {
	size := uint32(unsafe.Sizeof(memory))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&memory)), uintptr(unsafe.Pointer(&size)), 0)
	return memory, errno == 0
}
