package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// lending is what a stream knows of its descriptor while the poller lends it out. What
// is read then does not wait: it is EAGAIN that nothing has come, after which TLS goes
// on where it was.
type lending struct {
	fd    uintptr
	lent  bool
	empty bool // the kernel has said that nothing is left to read, not the end either

	answered bool // since the last read, and the kernel took it
}

func (l *lending) lend(fd uintptr) { *l = lending{fd: fd, lent: true} }

func (l *lending) takeBack() { *l = lending{} }

// readNow reads without waiting. Where the kernel says that nothing is left it is not
// asked again: the poller remembers what comes from then on. Of a reset that came before
// the kernel says so to those alone who write or read again.
func (l *lending) readNow(room []byte) (n int, err error) {
	if l.empty && l.answered {
		return 0, syscall.EAGAIN
	}
	n, more, err := receiveStream(l.fd, room)
	switch {
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	l.empty, l.answered = !more, false
	return n, nil
}

// connection is a stream's TCP connection for what is on top of it.
type connection struct {
	*net.TCPConn
	stream *stream
}

// below returns the connection for what is on top of it.
func (s *stream) below() net.Conn { return connection{s.conn, s} }

func (c connection) Write(data []byte) (int, error) { return c.stream.put(data) }

// Read gives what has come, though the deadline is over, once the server closes.
func (c connection) Read(room []byte) (int, error) {
	if c.stream.lent {
		return c.stream.readNow(room)
	}
	n, err := c.TCPConn.Read(room)
	if !c.stream.closing.Load() || !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	last := func(fd uintptr) { n, _ = unix.Read(int(fd), room) }
	if c.stream.raw.Control(last) != nil || n <= 0 {
		return 0, err
	}
	return n, nil
}
