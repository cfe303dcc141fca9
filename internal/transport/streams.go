package transport

import (
	"cmp"
	"container/list"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

const (
	startTime = 32 * time.Second // to the end of the next message, and for a peer to prove itself from the beginning
	idleGrace = 10 * time.Minute // beyond the longest expiration, without a byte from a peer that did
	lookTime  = 10 * time.Minute // without a byte from a peer that did, and with nothing bound over the stream
	writeTime = 10 * time.Second // for the phone to take an answer

	readSize = 2048  // bytes of the buffer that a stream is read into
	maxRoom  = 65536 // bytes of room for answers that is used again
)

// streams knows which are open.
type streams struct {
	limits   Limits
	count    atomic.Int64  // of those that are open
	accepted atomic.Uint64 // since the start
	failed   atomic.Uint64 // could not be accepted
	pings    atomic.Uint64 // that were answered
	refusals refusals

	mu        sync.Mutex
	open      map[uint64]*stream // by their IDs
	sources   map[netip.Addr]*source
	strangers list.List // of *stream, on which no peer has proved itself, the oldest first
	next      uint64    // ID
	closed    bool
}

// errClosing says that the server takes nothing in any more.
var errClosing = errors.New("the server is closing")

// add takes a stream in and gives it an ID.
func (s *streams) add(st *stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosing
	}
	if err := s.admit(st); err != nil {
		return err
	}
	s.accepted.Add(1)
	st.flow.Stream = s.next
	s.next++
	s.take(st)
	return nil
}

func (s *streams) remove(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(st)
}

// wakeAll ends the waiting of all streams for their phones.
func (s *streams) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, st := range s.open {
		_ = st.conn.SetReadDeadline(time.Now())
	}
}

func (s *streams) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.open {
		st.conn.Close()
	}
}

// stream is one TCP connection, and what is on top of it. It holds little while it
// is silent.
type stream struct {
	conn    *net.TCPConn
	raw     syscall.RawConn
	secure  *tls.Conn // nil: there is no TLS
	noTLS   func(message.Flow, error)
	greeted bool     // the phone has begun with TLS
	top     net.Conn // what messages are read from: TLS, or the connection
	tls     *tls.Config
	trouble func(error)
	handler Handler
	store   Durability
	times
	bound   func(stream uint64) bool // nil: nobody knows
	rooms   *sync.Pool               // of *[]byte, for answers
	reads   *sync.Pool               // of *[]byte, for what comes
	closing *atomic.Bool
	flow    message.Flow
	alive   aliveness
	all     *streams
	handled bool      // a whole message has come just now
	proved  bool      // a peer has proved itself on it
	ended   bool      // a reply has said that it is to be closed
	proveBy time.Time // when a peer has to have proved itself
	silent  time.Time // until when it may be, once one has, and something is bound over it
	reading time.Time // the read deadline that is set
	standing
	splitter
	lending
	outlet
}

// deadlineSlack is by how much a deadline may be early or late: to set one takes
// time, and there is one for each message.
const deadlineSlack = time.Second

func newStream(conn *net.TCPConn, l listener, s *Server) *stream {
	noticeDeath(conn)
	st := &stream{
		conn: conn, tls: l.secure, trouble: s.trouble, noTLS: s.NoTLS, handler: s.handler, store: s.store, times: s.times,
		bound: s.Bound, all: &s.streams, rooms: &s.rooms, reads: &s.reads, closing: &s.closing,
	}
	st.flow = message.Flow{
		Transport: l.transport,
		Source:    unmap(conn.RemoteAddr().(*net.TCPAddr).AddrPort()),
		Local:     unmap(conn.LocalAddr().(*net.TCPAddr).AddrPort()),
	}
	st.puts = &s.puts
	return st
}

// begin does what comes before messages, TLS and WebSocket, and tells whether they may
// come. Its goroutine has a large stack then.
func (s *stream) begin() bool {
	raw, err := s.conn.SyscallConn()
	s.proveBy = time.Now().Add(s.start)
	if err != nil || !s.setDeadline(s.proveBy) {
		return false
	}
	s.raw, s.top = raw, s.below()
	askWhatIsLeft(raw)
	switch s.flow.Transport {
	case "TLS":
		return s.shakeHands()
	case "WS":
		return s.upgrade()
	case "WSS":
		return s.shakeHands() && s.upgrade()
	}
	return true
}

// serve answers what comes until the stream ends, falls silent or carries what is
// no SIP.
func (s *stream) serve() {
	s.open()
	defer s.shut()
	if s.socket != nil {
		s.serveFrames()
	} else {
		s.serveBytes()
	}
}

// serveBytes reads TCP or TLS. While nothing comes it waits in the poller itself, not
// below TLS, so that its stack is small.
func (s *stream) serveBytes() {
	var wrong error
	turn := func(fd uintptr) (over bool) {
		over, wrong = s.turn(fd)
		return over
	}
	for s.raw.Read(turn) != nil && s.staysSilent() {
	}
	if s.closing.Load() && wrong == nil {
		_ = s.raw.Control(func(fd uintptr) { turn(fd) }) // what has come since
	}
	if wrong != nil {
		s.refuse(wrong)
	}
}

// turn handles what has come by now. It returns that the stream is to be closed, and
// what is wrong with it.
func (s *stream) turn(fd uintptr) (over bool, wrong error) {
	s.lend(fd)
	defer s.takeBack()
	shared := s.share()
	defer s.unshare(shared)
	for {
		n, err := s.top.Read(s.room())
		s.buffer = s.buffer[:len(s.buffer)+n]
		if n > 0 {
			if over, wrong = s.handle(); over {
				return true, wrong
			}
		}
		if err != nil {
			return err != syscall.EAGAIN, nil
		}
	}
}

// handle answers the messages that are all there. It returns that the stream is to
// be closed, and what is wrong with it.
func (s *stream) handle() (over bool, wrong error) {
	began := s.partial
	s.handled = false
	room := s.rooms.Get().(*[]byte)
	answers, wrong := s.splitter.take((*room)[:0], s.answer)
	s.countPings()
	written := len(answers) == 0 || s.write(answers)
	s.answered = len(answers) > 0
	if len(answers) > 0 && cap(answers) <= maxRoom {
		*room = answers
	}
	s.rooms.Put(room)
	switch {
	case !written, s.ended:
		return true, nil
	case wrong != nil:
		return true, wrong
	}
	return !s.await(began), nil
}

// await says by when the next bytes have to come, after some that are handled.
// began: those did not begin a message but went on with one.
func (s *stream) await(began bool) bool {
	switch {
	case !s.proved: // what comes puts nothing off
		return time.Now().Before(s.proveBy)
	case !s.partial:
		s.silent = time.Now().Add(s.alive.limit(s.idle))
		return s.setDeadline(s.nextLook())
	case s.handled, !began:
		return s.setDeadline(time.Now().Add(s.start))
	}
	return true
}

// nextLook is until when the stream may be silent before it is looked at.
func (s *stream) nextLook() time.Time {
	look := time.Now().Add(s.look)
	if s.bound == nil || s.silent.Before(look) {
		return s.silent
	}
	return look
}

// staysSilent tells whether a stream on which nothing has come by its deadline stays open:
// as long as a binding is reached over it, and it may be silent.
func (s *stream) staysSilent() bool {
	now := time.Now()
	if !s.proved || s.partial || s.bound == nil || now.Before(s.reading) || !now.Before(s.silent) || !s.bound(s.flow.Stream) {
		return false
	}
	s.reading = time.Time{} // that one is over, however close the next is
	return s.setDeadline(s.nextLook()) && !s.closing.Load()
}

// setDeadline says by when the next bytes have to come: by now, when the server
// closes, whatever deadline is asked for.
func (s *stream) setDeadline(deadline time.Time) bool {
	if deadline.Sub(s.reading).Abs() >= deadlineSlack && !s.closing.Load() {
		s.reading = deadline
		if s.conn.SetReadDeadline(deadline) != nil {
			return false
		}
	}
	return !s.closing.Load() || s.conn.SetReadDeadline(time.Now()) == nil
}

// answer handles messages that came together. What they have changed is
// committed at once, together with what other streams and sockets have.
func (s *stream) answer(answers []byte, messages [][]byte) []byte {
	mark := s.store.Begin()
	var space [8]transaction.Reply
	replies, rests, proved, announced := space[:0], false, false, s.alive.announced
	all, before := answers, len(answers)
	for _, data := range messages {
		reply := s.handler.Receive(all, data, s.flow, time.Now()) // the one before may have had to wait
		if len(reply.Data) > 0 {
			all = reply.Data
		}
		replies, rests, proved = append(replies, reply), rests || reply.Rests, proved || reply.Rests || reply.Proved
		announced = cmp.Or(reply.Alive, announced)
		if s.ended = reply.Ends; s.ended {
			break
		}
	}
	s.handled = true
	if proved && !s.proved {
		s.proved = true
		s.all.proved(s)
	}
	if !rests || s.store.Commit(mark) == nil {
		s.alive.announced = announced
		return all
	}
	for i := range replies {
		own := all[before:max(before, len(replies[i].Data))]
		before += len(own)
		if replies[i].Rests {
			own = s.handler.NotStored(messages[i], s.flow, time.Now()).Data
		}
		answers = append(answers[:len(answers):len(answers)], own...)
	}
	return answers
}

// refuse answers what cannot be framed, if it was SIP, before the stream closes.
func (s *stream) refuse(err error) {
	var wrong *message.Error
	if !errors.As(err, &wrong) {
		return
	}
	if reply := s.handler.Refuse(s.splitter.buffer, s.flow, wrong); len(reply.Data) > 0 {
		s.write(reply.Data)
	}
	s.shut()
	// The phone reads the answer before the stream ends under it.
	if s.secure != nil {
		_ = s.secure.CloseWrite()
	}
	_ = s.conn.CloseWrite()
	_ = s.conn.SetReadDeadline(time.Now().Add(time.Second))
	for discard := make([]byte, 4096); ; {
		if _, err := s.conn.Read(discard); err != nil {
			return
		}
	}
}

// share has what comes next read into memory that all streams have in common, with what
// has come already at its beginning, unless that is much.
func (s *stream) share() (shared *[]byte) {
	if len(s.buffer) > readSize/2 {
		return nil
	}
	shared = s.reads.Get().(*[]byte)
	s.buffer = append((*shared)[:0], s.buffer...)
	return shared
}

// unshare keeps what is not handled yet, in no more memory than it takes.
func (s *stream) unshare(shared *[]byte) {
	if shared == nil {
		return
	}
	if cap(s.buffer) <= readSize {
		s.buffer = append([]byte(nil), s.buffer...)
	}
	s.reads.Put(shared)
}
