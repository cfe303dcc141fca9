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
	in, out    parcels
	waiting    int // requests in out
}

// parcels are datagrams as sendmmsg(2) and recvmmsg(2) want them.
type parcels struct {
	data    [batch][]byte
	vectors [batch]unix.Iovec
	headers [batch]parcelHeader
}

// parcelHeader is struct mmsghdr.
type parcelHeader struct {
	unix.Msghdr
	length uint32
}

func newDatagrams(descriptor int) *datagrams {
	d := &datagrams{descriptor: descriptor}
	for i := range batch {
		d.in.hold(i, make([]byte, maxSize))
		d.out.hold(i, make([]byte, maxSize/4))
	}
	return d
}

// hold makes data the parcel of a number.
func (p *parcels) hold(i int, data []byte) {
	p.data[i] = data
	p.vectors[i].Base = &data[0]
	p.vectors[i].SetLen(len(data))
	p.headers[i].Iov = &p.vectors[i]
	p.headers[i].SetIovlen(1)
}

// exchange sends or receives those from one number to another, and returns how
// many it were.
func (p *parcels) exchange(call uintptr, descriptor, from, to int) (int, error) {
	for {
		n, _, errno := unix.Syscall6(call, uintptr(descriptor), uintptr(unsafe.Pointer(&p.headers[from])),
			uintptr(to-from), unix.MSG_DONTWAIT, 0, 0)
		if errno == 0 {
			return int(n), nil
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

func (d *datagrams) put(p *phone) {
	if d.waiting == batch {
		// An error comes again with what is received.
		_, _ = d.flush()
	}
	d.out.hold(d.waiting, p.appendRequest(d.out.data[d.waiting][:0]))
	d.waiting++
}

// flush drops what the kernel does not take: it is sent again later, as if it
// had been lost.
func (d *datagrams) flush() (left bool, err error) {
	for sent := 0; sent < d.waiting; {
		n, err := d.out.exchange(unix.SYS_SENDMMSG, d.descriptor, sent, d.waiting)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS) {
			break
		}
		if err != nil {
			d.waiting = 0
			return false, err
		}
		sent += n
	}
	d.waiting = 0
	return false, nil
}

func (d *datagrams) receive(use func(response []byte)) error {
	n, err := d.in.exchange(unix.SYS_RECVMMSG, d.descriptor, 0, batch)
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range n {
		use(d.in.data[i][:d.in.headers[i].length])
	}
	return nil
}

func (d *datagrams) close() { _ = unix.Close(d.descriptor) }
