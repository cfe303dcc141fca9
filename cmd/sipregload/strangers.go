package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kind is what a stranger sends.
type kind int

// The kinds take turns.
const (
	asking  kind = iota // a REGISTER without credentials
	forging             // one with a nonce that somebody else was given, and a wrong secret
	garbage             // noise, or a piece of a REGISTER
	kinds
)

const (
	// leastDue is how many datagrams are due before any is sent, so that a call to the
	// kernel is worth it.
	leastDue = batch / 2
	// mostLate is how late a datagram may be sent. One that is later is left out: to send
	// them all at once, after the generator had to wait, would be another load.
	mostLate = 20 * time.Millisecond
)

// strangers flood a server from one socket, each datagram from an address of its own.
type strangers struct {
	descriptor int
	server     unix.RawSockaddrInet4
	all        []phone
	turn       int  // of the next one
	kind       kind // of its datagram
	noise      *rand.ChaCha8
	sent       [kinds]int
	slots      [batch]slot
	headers    [batch]messageHeader
}

// slot is a datagram to be sent.
type slot struct {
	data   []byte
	vector unix.Iovec
	origin origin
}

// origin is the control message that says where a datagram comes from (ip(7),
// IP_PKTINFO), with its padding.
type origin struct {
	unix.Cmsghdr
	unix.Inet4Pktinfo
	_ [4]byte
}

// newStrangers are so many, each with an address: 127.2.0.1 and those after it. They know
// of peers all but the secrets, and of a nonce that was given to somebody.
func newStrangers(server netip.AddrPort, count int, peers []names, realm string, nonce []byte) (*strangers, error) {
	descriptor, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	// Nobody reads the answers. An error does no harm: they would take some memory.
	_ = unix.SetsockoptInt(descriptor, unix.SOL_SOCKET, unix.SO_RCVBUF, 1)
	s := &strangers{descriptor: descriptor, server: rawAddress(server), noise: rand.NewChaCha8([32]byte{}), all: make([]phone, count)}
	if err := unix.Bind(descriptor, &unix.SockaddrInet4{}); err != nil {
		s.close()
		return nil, fmt.Errorf("no socket for strangers: %w", err)
	}
	local, err := localOf(descriptor)
	if err != nil {
		s.close()
		return nil, err
	}
	port, host := netip.MustParseAddrPort(local).Port(), newHost()
	for i := range s.all {
		who := peers[i%len(peers)]
		who.secret = "guess"
		s.all[i] = phone{names: who, number: int32(i), nonce: nonce,
			wire: &wire{transport: "UDP", local: netip.AddrPortFrom(addressOf(i), port).String(), host: host, realm: realm}}
	}
	s.setOut()
	return s, nil
}

// addressOf returns the address of a stranger.
func addressOf(number int) netip.Addr {
	var address [4]byte
	binary.BigEndian.PutUint32(address[:], 127<<24|2<<16|uint32(1+number))
	return netip.AddrFrom4(address)
}

func rawAddress(address netip.AddrPort) unix.RawSockaddrInet4 {
	raw := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: address.Addr().As4()}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&raw.Port))[:], address.Port())
	return raw
}

// setOut fills in what is the same for all datagrams.
func (s *strangers) setOut() {
	for i := range s.headers {
		slot, h := &s.slots[i], &s.headers[i]
		slot.origin.Level, slot.origin.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
		slot.origin.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&s.server)), unix.SizeofSockaddrInet4
		h.Iov = &slot.vector
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&slot.origin))
		h.SetControllen(unix.CmsgSpace(unix.SizeofInet4Pktinfo))
	}
}

func (s *strangers) close() { _ = unix.Close(s.descriptor) }

// flood sends so many datagrams a second until the end of ctx, but no longer than for a
// time. What cannot be sent in time is left out.
func (s *strangers) flood(ctx context.Context, perSecond float64, atMost time.Duration) error {
	began, taken := time.Now(), 0 // of those due, sent or left out
	for ctx.Err() == nil {
		since := time.Since(began)
		if since >= atMost {
			break
		}
		due := int(perSecond * since.Seconds())
		taken = max(taken, due-int(perSecond*mostLate.Seconds()))
		if due-taken < leastDue {
			time.Sleep(time.Duration(float64(leastDue) / perSecond * float64(time.Second)))
			continue
		}
		n := min(due-taken, batch)
		if err := s.send(n); err != nil {
			return err
		}
		taken += n
	}
	return nil
}

// send sends so many datagrams. It does not wait: those that find no room are lost.
func (s *strangers) send(count int) error {
	var of [batch]kind
	for i := range count {
		of[i] = s.kind
		s.fill(&s.slots[i])
	}
	for first := 0; first < count; {
		n, err := exchange(unix.SYS_SENDMMSG, s.descriptor, s.headers[first:count])
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("strangers: %w", err)
		}
		for _, k := range of[first : first+n] {
			s.sent[k]++
		}
		first += n
	}
	return nil
}

// fill makes the next datagram. The strangers take turns, and so do the kinds.
func (s *strangers) fill(to *slot) {
	p := &s.all[s.turn]
	p.cseq++
	p.proving = s.kind == forging
	to.data = p.appendRequest(to.data[:0])
	if s.kind == garbage {
		to.data = s.spoil(to.data)
	}
	setVector(&to.vector, to.data)
	to.origin.Spec_dst = addressOf(s.turn).As4()
	s.turn = (s.turn + 1) % len(s.all)
	s.kind = (s.kind + 1) % kinds
}

// spoil cuts a request short, and makes noise of every other one.
func (s *strangers) spoil(request []byte) []byte {
	number := s.noise.Uint64()
	request = request[:1+number>>1%uint64(len(request)-1)]
	if number&1 == 0 {
		_, _ = s.noise.Read(request)
	}
	return request
}

// total is how many datagrams were sent.
func (s *strangers) total() (sum int) {
	for _, n := range s.sent {
		sum += n
	}
	return sum
}
