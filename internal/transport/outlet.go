package transport

import (
	"bufio"
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"golang.org/x/sys/unix"
)

// textFrame is the kind of frame that SIP goes in over WebSocket, where it can.
const textFrame = websocket.MessageText

// outlet is a stream's way out. The stream itself and Server.Send write by it.
type outlet struct {
	mu     sync.Mutex      // held around whole messages
	ready  bool            // Server.Send may write: it has begun and not ended
	socket *websocket.Conn // nil: there is no WebSocket
	frames *bufio.Reader   // what the WebSocket reads from
	// until is when the phone has to have taken what is being written, in Unix
	// nanoseconds. 0: in writeTime.
	until atomic.Int64
	puts  *sync.Pool // of *put
}

// open lets Server.Send write. What is on top of the connection is there now.
func (s *stream) open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
}

// shut keeps Server.Send from writing behind the last answer.
func (s *stream) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = false
}

// write writes answers.
func (s *stream) write(data []byte) bool { return s.writeIn(textFrame, data) }

// writeIn writes an answer, in that kind of frame where there are frames.
func (s *stream) writeIn(kind websocket.MessageType, data []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writeMessage(data, kind) == nil
}

// writeMessage writes by what is on top of the connection. A frame is not of text
// where its content is none.
func (s *stream) writeMessage(data []byte, kind websocket.MessageType) (err error) {
	switch {
	case s.socket != nil:
		if !utf8.Valid(data) {
			kind = websocket.MessageBinary
		}
		err = s.socket.Write(context.Background(), kind, data)
	case s.secure != nil:
		_, err = s.secure.Write(data)
	default:
		_, err = s.put(data)
	}
	return err
}

// put writes to the connection. It is called by one goroutine at a time.
func (s *stream) put(data []byte) (int, error) {
	p := s.puts.Get().(*put)
	p.stream, p.data, p.failed, p.waits = s, data, nil, false
	err := s.raw.Write(p.attempt)
	written := len(data) - len(p.data)
	switch {
	case err == nil && p.failed != nil:
		err = p.failed
	case err == nil && p.waits:
		err = s.conn.SetWriteDeadline(time.Time{})
	}
	p.stream, p.data = nil, nil
	s.puts.Put(p)
	return written, err
}

// putDeadline says by when the phone has to take what is written.
func (s *stream) putDeadline() time.Time {
	if until := s.until.Load(); until != 0 {
		return time.Unix(0, until)
	}
	return time.Now().Add(writeTime)
}

// put is bytes on their way to the kernel. It is used again, since to make one
// takes longer than to use it.
type put struct {
	stream  *stream
	data    []byte // what is left
	failed  error
	waits   bool // the kernel had no room
	attempt func(fd uintptr) (done bool)

	polled [1]unix.PollFd
	room   bool
	look   func(fd uintptr)
}

func newPut() any {
	p := new(put)
	p.attempt, p.look = p.try, p.see
	return p
}

// try writes as much as there is room for. A deadline is set just when there is not
// enough: to set one for each message takes time.
func (p *put) try(fd uintptr) (done bool) {
	for len(p.data) > 0 {
		n, err := unix.Write(int(fd), p.data)
		switch {
		case n > 0:
			p.data = p.data[n:]
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return !p.wait()
		case err == nil:
			p.failed = io.ErrShortWrite
			return true
		default:
			p.failed = err
			return true
		}
	}
	return true
}

// wait sets the deadline, unless that was done.
func (p *put) wait() bool {
	if !p.waits {
		p.waits = true
		p.failed = p.stream.conn.SetWriteDeadline(p.stream.putDeadline())
	}
	return p.failed == nil
}

// hasRoom tells whether the kernel takes more: it does while a third of what it keeps
// for a stream is free.
func (s *stream) hasRoom() bool {
	p := s.puts.Get().(*put)
	defer s.puts.Put(p)
	return s.raw.Control(p.look) == nil && p.room
}

// see looks whether there is room, or an error to be told of.
func (p *put) see(fd uintptr) {
	p.polled[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT}
	n, err := unix.Poll(p.polled[:], 0)
	p.room = err != nil || n > 0
}
