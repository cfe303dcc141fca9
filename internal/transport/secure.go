package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
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
	for {
		n, err := conn.Read(s.room())
		s.buffer = s.buffer[:len(s.buffer)+n]
		if n > 0 {
			if over, wrong := s.handle(); over {
				s.refuse(wrong)
				return
			}
		}
		if err != nil || !s.boundWrites() {
			return
		}
	}
}

// shakeHands begins TLS. It has as long as a message.
func (s *stream) shakeHands() (*tls.Conn, error) {
	conn := tls.Server(s.below(), s.tls)
	s.boundWrites()
	err := conn.Handshake()
	switch {
	case err == nil:
		s.flow.Certificate = certificateOf(conn.ConnectionState())
	case !isSilence(err):
		s.trouble(fmt.Errorf("no TLS with %v: %w", s.flow.Source, explainHandshake(err)))
	}
	return conn, err
}

// boundWrites says by when the phone has to take what is written without being an
// answer, as TLS does amid a read.
func (s *stream) boundWrites() bool {
	s.writing = s.reading.Add(writeTime)
	return s.conn.SetWriteDeadline(s.writing) == nil
}

// isSilence tells what is no attempt at TLS that somebody waits for: the other side
// has gone, or said nothing.
func isSilence(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET)
}

// lastReads is a TCP connection that gives what has come, though its deadline is
// over, once the server closes.
type lastReads struct {
	*net.TCPConn
	raw     syscall.RawConn
	closing *atomic.Bool
}

// below returns the connection for what is on top of it.
func (s *stream) below() net.Conn { return lastReads{s.conn, s.raw, s.closing} }

func (c lastReads) Read(room []byte) (int, error) {
	n, err := c.TCPConn.Read(room)
	if !c.closing.Load() || !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	last := func(fd uintptr) { n, _ = unix.Read(int(fd), room) }
	if c.raw.Control(last) != nil || n <= 0 {
		return 0, err
	}
	return n, nil
}
