package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

const (
	batchSize      = 256     // datagrams taken from the kernel at once, at most
	answerSize     = 1024    // bytes of room for an answer at first
	receiveBacklog = 4 << 20 // bytes asked of the kernel for what waits to be read
)

// listenUDP opens a socket for each processor on the address, or takes what is there.
func (s *Server) listenUDP(address string, how *Addresses) error {
	families, err := networks("udp", address)
	if err != nil {
		return err
	}
	for i, network := range families {
		err := s.openReaders(network, address, how)
		if err != nil && (i == 0 || !noFamily(err)) {
			return err
		}
	}
	return nil
}

func (s *Server) openReaders(network, address string, how *Addresses) error {
	if sockets := how.Inherited.take(network, address); len(sockets) > 0 {
		return s.inheritReaders(network, sockets)
	}
	address, err := s.claim(network, address, how.Shared)
	if err != nil {
		return err
	}
	for range runtime.GOMAXPROCS(0) {
		conn, err := openUDP(network, address)
		if err != nil {
			return err
		}
		address = conn.LocalAddr().String()
		d, err := s.addReader(conn, network)
		if err != nil {
			return err
		}
		d.withdraws = how.Shared
		// What the kernel grants is enough; a smaller buffer is no error.
		_ = conn.SetReadBuffer(receiveBacklog)
	}
	return nil
}

// claim sees to it that just those share an address that are to. It returns the address,
// with the port that stands for 0.
func (s *Server) claim(network, address string, shared bool) (string, error) {
	if shared {
		return address, anybodyAlone(network, address)
	}
	local, err := probe(network, address)
	if err != nil {
		return "", err
	}
	s.stayAlone(local)
	return local.String(), nil
}

// inheritReaders has a reader for each processor on sockets that live longer than this
// process. None is opened beside them: what waits there when it ends would be lost.
func (s *Server) inheritReaders(network string, sockets []*inheritedSocket) error {
	for i := range max(runtime.GOMAXPROCS(0), len(sockets)) {
		conn := sockets[i%len(sockets)].packets
		d, err := s.addReader(conn, network)
		if err != nil {
			return err
		}
		if d.second = i >= len(sockets); !d.second {
			d.inherits = true
			enlargeBuffer(conn)
			d.thinning.apply(d.raw) // an earlier life may have been killed amid an overload
		}
	}
	return nil
}

func (s *Server) addReader(conn *net.UDPConn, network string) (*datagrams, error) {
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	d, err := newDatagrams(conn, network, local, &s.closing, &s.streams.count)
	if err != nil {
		conn.Close()
		return nil, err
	}
	s.readers = append(s.readers, d)
	return d, nil
}

// datagrams reads one UDP socket: a batch comes in, is handled in order, and
// the batch of its answers goes out.
type datagrams struct {
	conn  *net.UDPConn
	raw   syscall.RawConn
	local netip.AddrPort
	// several says that the socket has all addresses of the machine: each answers
	// for itself (RFC 3581 §4).
	several bool
	// second says that another reader of the same socket is there, which also counts what
	// the kernel drops and has it thin out.
	second    bool
	inherits  bool                                                                             // the socket lives on
	withdraws bool                                                                             // another process may share the address
	closing   *atomic.Bool                                                                     // the server is, and wants no more than what has come
	streams   *atomic.Int64                                                                    // that are open
	reads     func(source netip.AddrPort, transport string, now time.Time) (reads, known bool) // nil: all

	in *incoming
	overload
	pacing  *pacing
	crowded bool            // too much waited when the last batch was taken
	dropped int             // unread, since that was last told
	told    time.Time       // when that was
	judged  []int           // of a batch: those that are read
	known   [batchSize]bool // of those: their sources are
	rooms   [][]byte        // for the answer to each of them
	ready   *outgoing       // answers that may go out at once
	resting *outgoing       // answers that go out once the bindings they tell of last
	atOnce  *atOnce         // nil: the store makes nobody wait

	counters counters
}

func newDatagrams(conn *net.UDPConn, network string, local netip.AddrPort, closing *atomic.Bool, streams *atomic.Int64) (*datagrams, error) {
	d := &datagrams{
		conn: conn, local: local, several: local.Addr().IsUnspecified(), closing: closing, streams: streams,
		in: newIncoming(batchSize), rooms: make([][]byte, batchSize),
		ready: newOutgoing(batchSize), resting: newOutgoing(batchSize),
	}
	for i := range d.rooms {
		d.rooms[i] = make([]byte, 0, answerSize)
	}
	var err error
	if d.raw, err = conn.SyscallConn(); err != nil {
		return nil, err
	}
	if d.several {
		if err = askDestination(d.raw, network); err != nil {
			return nil, err
		}
	}
	d.pacing, err = newPacing()
	return d, err
}

func (d *datagrams) close() {
	d.conn.Close()
	d.pacing.close()
}

// leave has the next daemon get all that comes to a socket that lives on.
func (d *datagrams) leave() {
	if d.inherits && d.thinning.share > 0 {
		d.thinning.share = 0
		d.thinning.apply(d.raw)
	}
}

// serve answers what comes until the server closes, and then what had come by then.
func (d *datagrams) serve(handler Handler, store Durability, trouble func(error)) {
	if d.atOnce != nil {
		defer d.atOnce.end()
	}
	defer d.leave()
	for !d.closing.Load() {
		n, err := d.receive()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // short of memory
			trouble(err)
			time.Sleep(time.Millisecond)
		default:
			d.answerBatch(n, handler, store, trouble)
			d.pace(n)
		}
	}
	d.finish(handler, store, trouble)
}

// finish answers what has come. Where another process shares the address, nothing comes
// any more to this socket, which is closed at once lest something does.
func (d *datagrams) finish(handler Handler, store Durability, trouble func(error)) {
	least := batchSize
	if d.withdraws && withdraw(d.raw, d.local.Addr()) {
		least = 1
	}
	for n := least; n >= least; {
		n = d.takeWaiting()
		d.answerBatch(n, handler, store, trouble)
	}
	if d.withdraws {
		d.conn.Close()
	}
}

// answerBatch handles datagrams: what they have changed is committed at once, and the
// answers go out.
func (d *datagrams) answerBatch(n int, handler Handler, store Durability, trouble func(error)) {
	mark := store.Begin()
	now := time.Now()
	d.overload.see(d.crowded, batchSize, now)
	d.handle(n, handler, now, trouble)
	d.tellDropped(now, trouble)
	d.send(d.ready, trouble)
	if len(d.resting.headers) > 0 {
		if store.Commit(mark) != nil {
			d.replaceResting(handler)
		}
		d.send(d.resting, trouble)
	}
	d.in.clear(n)
}

// pace lets others on before the next batch. Where batches follow each other this
// goroutine never waits, and on one processor whoever saves bindings would wait 10
// ms for each of its steps.
func (d *datagrams) pace(n int) {
	now := time.Now()
	if d.pacing.comesFast(n, now) {
		rest()
	}
	if d.streams.Load() > 0 {
		d.pacing.letOthersOn(now)
	}
	runtime.Gosched()
}

// receive waits for datagrams and takes a batch of them. While the kernel drops
// some it does not wait long, so that it is told when that is over.
func (d *datagrams) receive() (n int, err error) {
	if d.thinning.share > 0 {
		d.setDeadline(time.Now().Add(thinningStep))
	}
	failed := d.raw.Read(func(fd uintptr) bool {
		n, err = d.take(fd)
		return err != syscall.EAGAIN && err != syscall.EINTR
	})
	if errors.Is(failed, os.ErrDeadlineExceeded) {
		if d.second { // who has set it sets another one
			time.Sleep(time.Millisecond)
		}
		return 0, nil
	}
	return n, errors.Join(failed, err)
}

// setDeadline says until when to wait: no longer, when the server closes.
func (d *datagrams) setDeadline(deadline time.Time) {
	_ = d.conn.SetReadDeadline(deadline)
	if d.closing.Load() {
		_ = d.conn.SetReadDeadline(time.Now())
	}
}

// takeWaiting takes what has come already.
func (d *datagrams) takeWaiting() (n int) {
	_ = d.raw.Control(func(fd uintptr) { n, _ = d.take(fd) })
	return n
}

// take takes a batch without waiting.
func (d *datagrams) take(fd uintptr) (int, error) {
	d.crowded = isHalfFull(fd)
	return d.in.receive(fd)
}

// handle collects the answers to a batch.
func (d *datagrams) handle(n int, handler Handler, now time.Time, trouble func(error)) {
	d.ready.clear()
	d.resting.clear()
	judged := d.judge(n, now)
	picked, phones := d.overload.pick(judged, d.known[:], d.in.data)
	dropped := len(judged) - len(picked)
	d.dropped += dropped
	if n > 0 {
		d.counters.countBatch(n, dropped)
	}
	// Strangers are no cause: the kernel cannot tell them from others.
	if !d.second && d.thinning.count(n, phones, now) {
		d.setDeadline(time.Time{})
		d.thinning.apply(d.raw)
	}
	if d.atOnce != nil {
		d.handleAtOnce(picked, handler, now, trouble)
		return
	}
	for _, i := range picked {
		reply := handler.Receive(d.rooms[i][:0], d.in.data(i), d.flow(i), now)
		d.collect(i, &reply)
	}
}

// collect takes the answer to one of a batch.
func (d *datagrams) collect(i int, reply *transaction.Reply) {
	if len(reply.Data) == 0 {
		return
	}
	d.rooms[i] = reply.Data
	out := d.ready
	if reply.Rests {
		out = d.resting
	}
	out.add(d.in, i, reply.Data, reply.To, d.several)
}

// judge returns which of n datagrams are read, and takes down which are of known sources.
// That comes before overload: who floods is to take no place there.
func (d *datagrams) judge(n int, now time.Time) []int {
	d.judged = d.judged[:0]
	for i := range n {
		reads, known := true, true
		if d.reads != nil {
			reads, known = d.reads(d.in.source(i), "UDP", now)
		}
		if reads {
			d.judged = append(d.judged, i)
			d.known[i] = known
		}
	}
	return d.judged
}

// tellDropped tells once a second that datagrams were dropped.
func (d *datagrams) tellDropped(now time.Time, trouble func(error)) {
	if d.dropped == 0 || now.Sub(d.told) < time.Second {
		return
	}
	trouble(fmt.Errorf("overload: %d datagrams without credentials were dropped unread", d.dropped))
	d.dropped, d.told = 0, now
}

func (d *datagrams) flow(i int) message.Flow {
	flow := message.Flow{Transport: "UDP", Source: d.in.source(i), Local: d.local}
	if d.several {
		if address := d.in.destination(i); address.IsValid() {
			flow.Local = netip.AddrPortFrom(address, d.local.Port())
		}
	}
	return flow
}

// replaceResting puts others in the place of answers whose bindings were undone.
func (d *datagrams) replaceResting(handler Handler) {
	now := time.Now()
	for at, i := range d.resting.answers {
		reply := handler.NotStored(d.in.data(i), d.flow(i), now)
		d.rooms[i] = reply.Data
		d.resting.setData(at, reply.Data)
	}
}

// send sends answers. One that cannot be sent is left out: the phone will ask
// again.
func (d *datagrams) send(out *outgoing, trouble func(error)) {
	for first := 0; first < len(out.headers); {
		var n int
		var err error
		failed := d.raw.Write(func(fd uintptr) bool {
			n, err = out.send(fd, first)
			return err != syscall.EAGAIN && err != syscall.EINTR
		})
		switch {
		case failed != nil: // the socket is closed
			return
		case err != nil:
			trouble(err)
			n = 1
		}
		first += n
	}
}

func unmap(address netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(address.Addr().Unmap(), address.Port())
}
