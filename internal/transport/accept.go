package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// listener takes in the streams of one transport.
type listener struct {
	*net.TCPListener
	transport string      // as a Via names it
	secure    *tls.Config // nil: there is no TLS
}

func (s *Server) listenStreams(transport string, secure *tls.Config, address string, how *Addresses) error {
	families, err := networks("tcp", address)
	if err != nil {
		return err
	}
	for i, network := range families {
		if sockets := how.Inherited.take(network, address); len(sockets) > 0 {
			for _, socket := range sockets {
				s.listeners = append(s.listeners, listener{socket.streams, transport, secure})
			}
			continue
		}
		l, err := openTCP(network, address, how.Shared)
		if err != nil {
			if i > 0 && noFamily(err) {
				continue
			}
			return err
		}
		s.listeners = append(s.listeners, listener{l, transport, secure})
	}
	return nil
}

// isWantOfFiles tells that this process, or the machine, has too many files open.
func isWantOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// accept takes streams in until the listener is closed. When it cannot, as
// without file descriptors, it waits and tries again; strangers make room then.
func (s *Server) accept(l listener) {
	pause := time.Duration(0)
	for {
		conn, err := l.AcceptTCP()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			s.streams.failed.Add(1)
			if isWantOfFiles(err) && s.streams.makeRoomNow() {
				pause = 0
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.trouble(fmt.Errorf("no stream accepted, next try in %v: %w", pause, err))
			time.Sleep(pause)
			continue
		}
		pause = 0
		st := newStream(conn, l, s)
		if !s.admits(st) {
			conn.Close()
			continue
		}
		if err := s.streams.add(st); err != nil {
			conn.Close()
			if err != errClosing {
				s.trouble(err)
			}
			continue
		}
		s.running.Go(func() { s.begin(st) })
	}
}

// begin lets a stream begin. Whatever that took, it goes on with a small stack.
func (s *Server) begin(st *stream) {
	if !st.begin() {
		s.end(st)
		return
	}
	s.running.Go(func() {
		st.serve()
		s.end(st)
	})
}

// admits asks whether anything is taken from a stream's source.
func (s *Server) admits(st *stream) bool {
	return s.Admits == nil || s.Admits(st.flow.Source, st.flow.Transport, time.Now())
}
