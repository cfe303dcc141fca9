package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// serveSecure reads TLS (RFC 3261 §26.3.1).
func (s *stream) serveSecure() {
	conn, err := s.shakeHands()
	if err != nil {
		return
	}
	defer conn.Close() // says that it is the end
	s.secure = conn
	s.open(nil)
	defer s.shut()
	for {
		n, err := conn.Read(s.room())
		s.buffer = s.buffer[:len(s.buffer)+n]
		if n > 0 {
			if over, wrong := s.handle(); over {
				s.refuse(wrong)
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// shakeHands begins TLS. It has as long as a message.
func (s *stream) shakeHands() (*tls.Conn, error) {
	conn := tls.Server(s.below(), s.tls)
	err := conn.Handshake()
	switch {
	case err == nil:
		s.flow.Certificate = certificateOf(conn.ConnectionState())
	case !isSilence(err):
		s.trouble(fmt.Errorf("no TLS with %v: %w", s.flow.Source, explainHandshake(err)))
	}
	return conn, err
}

// isSilence tells what is no attempt at TLS that somebody waits for: the other side
// has gone, or said nothing.
func isSilence(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET)
}

// Read gives what has come, though the deadline is over, once the server closes.
func (c connection) Read(room []byte) (int, error) {
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
