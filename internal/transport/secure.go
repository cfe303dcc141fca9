package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// shakeHands begins TLS (RFC 3261 §26.3.1), and tells whether it has begun. It has as
// long as a message.
func (s *stream) shakeHands() bool {
	conn := tls.Server(s.below(), s.tls)
	err := conn.Handshake()
	switch {
	case err == nil:
		s.flow.Certificate = certificateOf(conn.ConnectionState())
		s.secure, s.top = conn, conn
	case s.greeted && errors.Is(err, os.ErrDeadlineExceeded) && !s.closing.Load():
		s.tellNoTLS(errUnfinished)
	case !isSilence(err):
		s.tellNoTLS(explainHandshake(err))
	}
	return err == nil
}

var errUnfinished = errors.New("the handshake was begun and not finished in 32 s")

func (s *stream) tellNoTLS(cause error) {
	if s.noTLS == nil {
		s.trouble(fmt.Errorf("no TLS with %v: %w", s.flow.Source, cause))
		return
	}
	s.noTLS(s.flow, cause)
}

// isSilence tells what is no attempt at TLS that somebody waits for: the other side
// has gone, or said nothing.
func isSilence(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET)
}
