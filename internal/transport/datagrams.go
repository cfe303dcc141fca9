package transport

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"sipregd/internal/message"
)

const (
	batchSize      = 256     // datagrams taken from the kernel at once, at most
	maxDatagram    = 65535   // bytes
	maxControl     = 64      // bytes of control messages beside a datagram
	receiveBacklog = 4 << 20 // bytes asked of the kernel for what waits to be read
)

// listenUDP opens a socket for each processor on the address.
func (s *Server) listenUDP(address string) error {
	families, err := networks("udp", address)
	if err != nil {
		return err
	}
	for i, network := range families {
		local, err := probe(network, address)
		if err != nil {
			if i > 0 && noFamily(err) {
				continue
			}
			return err
		}
		if err := s.openReaders(network, local); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) openReaders(network string, local netip.AddrPort) error {
	for range runtime.GOMAXPROCS(0) {
		conn, err := openUDP(network, local)
		if err != nil {
			return err
		}
		reader, err := newDatagrams(conn, network, local)
		if err != nil {
			conn.Close()
			return err
		}
		s.readers = append(s.readers, reader)
	}
	return nil
}

// batchConn is what ipv4.PacketConn and ipv6.PacketConn have in common.
type batchConn interface {
	ReadBatch(messages []ipv4.Message, flags int) (int, error)
	WriteBatch(messages []ipv4.Message, flags int) (int, error)
}

// datagrams reads one UDP socket: a batch comes in, is handled in order, and
// the batch of its answers goes out.
type datagrams struct {
	conn  *net.UDPConn
	batch batchConn
	local netip.AddrPort
	// destination reads from a control message which address of the machine a
	// datagram came to, and source asks the kernel to answer from it (RFC 3581
	// §4). Both are nil where the socket has just one address.
	destination func(control []byte) netip.Addr
	source      func(netip.Addr) []byte

	in      []ipv4.Message
	ready   []ipv4.Message // answers that may go out at once
	resting []resting      // answers that rest on what the batch has changed
}

// resting is an answer that goes out once the bindings it tells of last.
type resting struct {
	request *ipv4.Message
	flow    message.Flow
	answer  ipv4.Message
}

func newDatagrams(conn *net.UDPConn, network string, local netip.AddrPort) (*datagrams, error) {
	// What the kernel grants is enough; a smaller buffer is no error.
	_ = conn.SetReadBuffer(receiveBacklog)
	d := &datagrams{conn: conn, local: local, in: make([]ipv4.Message, batchSize)}
	for i := range d.in {
		d.in[i].Buffers = [][]byte{make([]byte, maxDatagram)}
		d.in[i].OOB = make([]byte, maxControl)
	}
	if network == "udp6" {
		return d, d.useIPv6()
	}
	return d, d.useIPv4()
}

func (d *datagrams) useIPv4() error {
	conn := ipv4.NewPacketConn(d.conn)
	d.batch = conn
	if !d.local.Addr().IsUnspecified() {
		return nil
	}
	d.destination = func(control []byte) netip.Addr {
		var message ipv4.ControlMessage
		if message.Parse(control) != nil {
			return netip.Addr{}
		}
		address, _ := netip.AddrFromSlice(message.Dst.To4())
		return address
	}
	d.source = func(address netip.Addr) []byte {
		return (&ipv4.ControlMessage{Src: address.AsSlice()}).Marshal()
	}
	return conn.SetControlMessage(ipv4.FlagDst, true)
}

func (d *datagrams) useIPv6() error {
	conn := ipv6.NewPacketConn(d.conn)
	d.batch = conn
	if !d.local.Addr().IsUnspecified() {
		return nil
	}
	d.destination = func(control []byte) netip.Addr {
		var message ipv6.ControlMessage
		if message.Parse(control) != nil {
			return netip.Addr{}
		}
		address, _ := netip.AddrFromSlice(message.Dst.To16())
		return address
	}
	d.source = func(address netip.Addr) []byte {
		return (&ipv6.ControlMessage{Src: address.AsSlice()}).Marshal()
	}
	return conn.SetControlMessage(ipv6.FlagDst, true)
}

// serve reads until the socket is closed: a batch is handled, what it has
// changed is committed at once, and the answers go out.
func (d *datagrams) serve(handler Handler, store Durability, trouble func(error)) {
	for {
		n, err := d.batch.ReadBatch(d.in, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // an ICMP answer to what was sent, or short of memory
			trouble(err)
			time.Sleep(time.Millisecond)
			continue
		}
		mark := store.Begin()
		d.handle(d.in[:n], handler)
		d.send(d.ready, trouble)
		if len(d.resting) > 0 {
			d.send(d.settled(store.Commit(mark), handler), trouble)
		}
	}
}

// handle collects the answers to a batch.
func (d *datagrams) handle(batch []ipv4.Message, handler Handler) {
	now := time.Now()
	d.ready, d.resting = d.ready[:0], d.resting[:0]
	for i := range batch {
		sender, ok := batch[i].Addr.(*net.UDPAddr)
		if !ok {
			continue
		}
		flow := message.Flow{
			Transport: "UDP",
			Source:    unmap(sender.AddrPort()),
			Local:     d.localOf(&batch[i]),
		}
		reply := handler.Receive(batch[i].Buffers[0][:batch[i].N], flow, now)
		if len(reply.Data) == 0 {
			continue
		}
		answer := d.datagram(reply.Data, reply.To, sender.Zone, flow.Local.Addr())
		if reply.Rests {
			d.resting = append(d.resting, resting{&batch[i], flow, answer})
		} else {
			d.ready = append(d.ready, answer)
		}
	}
}

// settled returns the answers to send after a commit: those that waited for it,
// or, where it failed, others in their place.
func (d *datagrams) settled(failure error, handler Handler) []ipv4.Message {
	now := time.Now()
	d.ready = d.ready[:0]
	for i := range d.resting {
		r := &d.resting[i]
		if failure != nil {
			reply := handler.NotStored(r.request.Buffers[0][:r.request.N], r.flow, now)
			r.answer.Buffers = [][]byte{reply.Data}
		}
		d.ready = append(d.ready, r.answer)
	}
	return d.ready
}

// localOf returns the address of this machine that a datagram came to.
func (d *datagrams) localOf(m *ipv4.Message) netip.AddrPort {
	if d.destination != nil {
		if address := d.destination(m.OOB[:m.NN]); address.IsValid() {
			return netip.AddrPortFrom(address, d.local.Port())
		}
	}
	return d.local
}

func (d *datagrams) datagram(data []byte, to netip.AddrPort, zone string, from netip.Addr) ipv4.Message {
	m := ipv4.Message{
		Buffers: [][]byte{data},
		Addr:    &net.UDPAddr{IP: to.Addr().AsSlice(), Port: int(to.Port()), Zone: zone},
	}
	if d.source != nil && !from.IsUnspecified() {
		m.OOB = d.source(from)
	}
	return m
}

// send sends answers. One that cannot be sent is left out: the phone will ask
// again.
func (d *datagrams) send(answers []ipv4.Message, trouble func(error)) {
	for rest := answers; len(rest) > 0; {
		n, err := d.batch.WriteBatch(rest, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			trouble(err)
			n = max(n, 0) + 1
		}
		rest = rest[min(n, len(rest)):]
	}
}

func unmap(address netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(address.Addr().Unmap(), address.Port())
}
