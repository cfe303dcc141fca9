package main

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is how many datagrams go into one call to the kernel.
const batch = 64

// datagrams is a carrier over UDP.
type datagrams struct {
	descriptor int
	in         inbox
	out        outbox
}

// inbox is room for datagrams as recvmmsg(2) wants it.
type inbox struct {
	data    [batch][]byte
	vectors [batch]unix.Iovec
	headers [batch]messageHeader
}

// messageHeader is struct mmsghdr.
type messageHeader struct {
	unix.Msghdr
	length uint32
}

// outbox is datagrams to be sent. The kernel takes those of one length as one
// piece and cuts it, at a fraction of what each would cost by itself.
type outbox struct {
	data    [batch][]byte
	used    int
	bundles [batch]bundle
	headers [batch]messageHeader // of bundles
	bundled int                  // bundles in use
}

// bundle is datagrams of one length.
type bundle struct {
	length  int
	count   int
	vectors [batch]unix.Iovec
	segment segment
}

// segment is the control message that says where to cut, with its padding.
type segment struct {
	unix.Cmsghdr
	length uint16
	_      [6]byte
}

// mostBytes is what a bundle may hold: less than the largest datagram.
const mostBytes = 60_000

func newDatagrams(descriptor int) *datagrams {
	d := &datagrams{descriptor: descriptor}
	for i := range batch {
		d.in.data[i] = make([]byte, maxSize)
		setVector(&d.in.vectors[i], d.in.data[i])
		d.in.headers[i].Iov = &d.in.vectors[i]
		d.in.headers[i].SetIovlen(1)
	}
	return d
}

func setVector(v *unix.Iovec, data []byte) {
	v.Base = &data[0]
	v.SetLen(len(data))
}

func (d *datagrams) put(p *phone) {
	if d.out.used == batch {
		// An error comes again with what is received.
		_, _ = d.flush()
	}
	o := &d.out
	data := p.appendRequest(o.data[o.used][:0])
	o.data[o.used] = data
	o.used++
	b := o.bundleOf(len(data))
	setVector(&b.vectors[b.count], data)
	b.count++
}

// bundleOf returns one with room for a datagram of a length.
func (o *outbox) bundleOf(length int) *bundle {
	for i := range o.bundles[:o.bundled] {
		if b := &o.bundles[i]; b.length == length && (b.count+1)*length <= mostBytes {
			return b
		}
	}
	b := &o.bundles[o.bundled]
	o.bundled++
	b.length, b.count = length, 0
	return b
}

// address fills in the headers of bundles.
func (o *outbox) address() {
	for i := range o.bundles[:o.bundled] {
		b, h := &o.bundles[i], &o.headers[i]
		h.Iov = &b.vectors[0]
		h.SetIovlen(b.count)
		b.segment.Level, b.segment.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
		b.segment.SetLen(unix.CmsgLen(2))
		b.segment.length = uint16(b.length)
		h.Control = (*byte)(unsafe.Pointer(&b.segment))
		h.SetControllen(unix.CmsgSpace(2))
	}
}

// flush drops what the kernel does not take: it is sent again later, as if it
// had been lost.
func (d *datagrams) flush() (left bool, err error) {
	o := &d.out
	o.address()
	for sent := 0; sent < o.bundled && err == nil; {
		var n int
		n, err = exchange(unix.SYS_SENDMMSG, d.descriptor, o.headers[sent:o.bundled])
		sent += n
	}
	o.used, o.bundled = 0, 0
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS) {
		err = nil
	}
	return false, err
}

func (d *datagrams) receive(use func(response []byte)) error {
	n, err := exchange(unix.SYS_RECVMMSG, d.descriptor, d.in.headers[:])
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	for i := range n {
		use(d.in.data[i][:d.in.headers[i].length])
	}
	return err
}

func (d *datagrams) close() { _ = unix.Close(d.descriptor) }

// exchange sends or receives without a wait, and returns how many headers have
// been used.
func exchange(call uintptr, descriptor int, headers []messageHeader) (int, error) {
	for {
		n, _, errno := unix.Syscall6(call, uintptr(descriptor), uintptr(unsafe.Pointer(&headers[0])),
			uintptr(len(headers)), unix.MSG_DONTWAIT, 0, 0)
		if errno == 0 {
			return int(n), nil
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}
