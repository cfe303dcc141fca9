package transport

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

const (
	// MaxStreams bounds the streams that are open at once; one more is closed
	// as soon as it is accepted.
	MaxStreams = 50000

	startTime = 32 * time.Second // to the end of the next message, and while no peer has proved itself
	idleGrace = 10 * time.Minute // beyond the longest expiration, without a byte from a peer that did
	writeTime = 10 * time.Second // for the phone to take an answer

	readSize = 2048  // bytes of a stream's buffer at first
	maxRoom  = 65536 // bytes of room for answers that is used again
)

// streams knows which are open.
type streams struct {
	limit    int
	count    atomic.Int64  // of those that are open
	accepted atomic.Uint64 // since the start
	refused  atomic.Uint64 // for there were too many
	pings    atomic.Uint64 // that were answered
	mu       sync.Mutex
	open     map[uint64]*stream // by their IDs
	first    uint64             // ID
	next     uint64             // ID
	closed   bool
}

// add takes a stream in and gives it an ID, unless there are too many or the server is
// closing.
func (s *streams) add(st *stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return false
	case len(s.open) >= s.limit:
		s.refused.Add(1)
		return false
	}
	s.accepted.Add(1)
	st.flow.Stream = s.next
	s.open[s.next] = st
	s.next++
	s.count.Add(1)
	return true
}

func (s *streams) remove(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, st.flow.Stream)
	s.count.Add(-1)
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

// listener takes in the streams of one transport.
type listener struct {
	*net.TCPListener
	transport string // as a Via names it
}

func (s *Server) listenStreams(transport, address string) error {
	families, err := networks("tcp", address)
	if err != nil {
		return err
	}
	for i, network := range families {
		l, err := net.Listen(network, address)
		if err != nil {
			if i > 0 && noFamily(err) {
				continue
			}
			return err
		}
		s.listeners = append(s.listeners, listener{l.(*net.TCPListener), transport})
	}
	return nil
}

// accept takes streams in until the listener is closed. When it cannot, as
// without file descriptors, it waits and tries again.
func (s *Server) accept(l listener) {
	pause := time.Duration(0)
	for {
		conn, err := l.AcceptTCP()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.trouble(fmt.Errorf("no stream accepted, next try in %v: %w", pause, err))
			time.Sleep(pause)
			continue
		}
		pause = 0
		st := newStream(conn, l.transport, s)
		if !s.admits(st) || !s.streams.add(st) {
			conn.Close()
			continue
		}
		s.running.Go(func() {
			st.serve()
			s.end(st)
		})
	}
}

func (s *Server) admits(st *stream) bool {
	return s.Admits == nil || s.Admits(st.flow.Source, st.flow.Transport, time.Now())
}

// stream is one TCP connection, and what is on top of it. It holds little while it
// is silent.
type stream struct {
	conn    *net.TCPConn
	raw     syscall.RawConn
	secure  *tls.Conn // nil: there is no TLS
	tls     *tls.Config
	trouble func(error)
	handler Handler
	store   Durability
	idle    time.Duration
	rooms   *sync.Pool // of *[]byte, for answers
	closing *atomic.Bool
	flow    message.Flow
	alive   aliveness
	counted *atomic.Uint64 // pings on all streams
	handled bool           // a whole message has come just now
	proved  bool           // a peer has proved itself on it
	ended   bool           // a reply has said that it is to be closed
	reading time.Time      // the read deadline that is set
	splitter
	outlet
}

// deadlineSlack is by how much a deadline may be early or late: to set one takes
// time, and there is one for each message.
const deadlineSlack = time.Second

func newStream(conn *net.TCPConn, transport string, s *Server) *stream {
	noticeDeath(conn)
	st := &stream{conn: conn, tls: s.secure[transport], trouble: s.trouble, handler: s.handler, store: s.store, idle: s.idle, counted: &s.streams.pings, rooms: &s.rooms, closing: &s.closing}
	st.flow = message.Flow{
		Transport: transport,
		Source:    unmap(conn.RemoteAddr().(*net.TCPAddr).AddrPort()),
		Local:     unmap(conn.LocalAddr().(*net.TCPAddr).AddrPort()),
	}
	st.puts = &s.puts
	return st
}

// serve answers what comes until the stream ends, falls silent or carries what is
// no SIP.
func (s *stream) serve() {
	raw, err := s.conn.SyscallConn()
	if err != nil || !s.setDeadline(time.Now().Add(startTime)) {
		return
	}
	s.raw = raw
	switch s.flow.Transport {
	case "TCP":
		s.servePlain()
	case "TLS":
		s.serveSecure()
	default:
		s.serveWebSocket()
	}
}

// servePlain reads TCP. Where the kernel says that nothing is left to read, not the end either, it
// is not tried: the poller remembers what comes from then on.
func (s *stream) servePlain() {
	askWhatIsLeft(s.raw)
	s.open(nil)
	defer s.shut()
	var wrong error
	read := func(fd uintptr) (over bool) {
		for {
			more, err := s.splitter.receive(fd)
			if err != nil {
				return err != syscall.EAGAIN && err != syscall.EINTR
			}
			if over, wrong = s.handle(); over || !more {
				return over
			}
		}
	}
	_ = s.raw.Read(read)
	if s.closing.Load() && wrong == nil {
		_ = s.raw.Control(func(fd uintptr) { read(fd) }) // what has come since
	}
	if wrong != nil {
		s.refuse(wrong)
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
	case !s.partial && s.proved:
		return s.setDeadline(time.Now().Add(s.alive.limit(s.idle)))
	case s.handled, s.proved && !began:
		return s.setDeadline(time.Now().Add(startTime))
	}
	return true
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
	now := time.Now()
	var space [8]transaction.Reply
	replies, rests, announced := space[:0], false, s.alive.announced
	all, before := answers, len(answers)
	for _, data := range messages {
		reply := s.handler.Receive(all, data, s.flow, now)
		if len(reply.Data) > 0 {
			all = reply.Data
		}
		replies, rests = append(replies, reply), rests || reply.Rests
		announced = cmp.Or(reply.Alive, announced)
		if s.ended = reply.Ends; s.ended {
			break
		}
	}
	s.handled, s.proved = true, s.proved || rests
	if !rests || s.store.Commit(mark) == nil {
		s.alive.announced = announced
		return all
	}
	for i := range replies {
		own := all[before:max(before, len(replies[i].Data))]
		before += len(own)
		if replies[i].Rests {
			own = s.handler.NotStored(messages[i], s.flow, now).Data
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

// splitter cuts a stream into messages (RFC 3261 §18.3).
type splitter struct {
	buffer  []byte // what has come and is not handled yet
	partial bool   // a message has begun and is not all there
	pings   int    // that came just now
}

// receive takes what a socket has to read, without waiting, and tells whether
// there may be more.
func (p *splitter) receive(fd uintptr) (more bool, err error) {
	n, more, err := receiveStream(fd, p.room())
	switch {
	case err != nil:
		return false, err
	case n == 0:
		return false, io.EOF
	}
	p.buffer = p.buffer[:len(p.buffer)+n]
	return more, nil
}

// room returns where to put what comes next.
func (p *splitter) room() []byte {
	if cap(p.buffer)-len(p.buffer) < readSize/2 {
		p.buffer = append(make([]byte, 0, max(readSize, 2*cap(p.buffer))), p.buffer...)
	}
	return p.buffer[len(p.buffer):cap(p.buffer)]
}

var (
	ping = []byte("\r\n\r\n") // a keepalive (RFC 5626 §3.5.1)
	pong = []byte("\r\n")
)

// take hands the whole messages to answer and returns the answers, to
// keepalives first. After an error the stream cannot be framed any more.
func (p *splitter) take(room []byte, answer func(answers []byte, messages [][]byte) []byte) (answers []byte, err error) {
	var space [8][]byte
	messages, answers := space[:0], room
	rest := p.buffer
	p.pings = 0
	for length := -1; length != 0 && err == nil; {
		var pings int
		rest, pings = skipKeepalives(rest)
		p.pings += pings
		for range pings {
			answers = append(answers, pong...)
		}
		if bytes.HasPrefix(ping, rest) { // nothing, or the rest of a ping may still come
			break
		}
		if length, err = message.Frame(rest); length > 0 {
			messages = append(messages, rest[:length])
			rest = rest[length:]
		}
	}
	if len(messages) > 0 {
		answers = answer(answers, messages)
	}
	p.keep(rest)
	return answers, err
}

// keep moves what is left to the front; a large buffer is let go when empty.
func (p *splitter) keep(rest []byte) {
	if len(rest) == 0 && cap(p.buffer) > readSize {
		p.buffer = nil
	} else {
		p.buffer = append(p.buffer[:0], rest...)
	}
	p.partial = len(bytes.TrimLeft(rest, "\r\n")) > 0
}

// skipKeepalives takes line ends from between messages (RFC 3261 §7.5) and
// counts the pings among them.
func skipKeepalives(data []byte) (rest []byte, pings int) {
	for {
		switch {
		case bytes.HasPrefix(data, ping):
			data = data[len(ping):]
			pings++
		case bytes.HasPrefix(ping, data):
			return data, pings
		case bytes.HasPrefix(data, []byte("\r\n")):
			data = data[2:]
		case bytes.HasPrefix(data, []byte("\n")):
			data = data[1:]
		default:
			return data, pings
		}
	}
}
