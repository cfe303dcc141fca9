// Package admin is where the administrator looks at the daemon and acts on it: the
// control socket and HTTP with one API, which package api describes, metrics, the
// page, and the webhook.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"sipregd/internal/admin/api"
	"sipregd/internal/guard"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

// Daemon is what the administrator looks at and acts on. It may be used by many
// goroutines at once.
type Daemon interface {
	Directory() *peers.Directory
	// Remove removes the bindings of an AOR to one Contact, or all where contact is
	// empty, and makes that last.
	Remove(aor sipuri.AOR, contact string) (removed int, err error)
	// Reload reads the peers anew. Check tells what that would do.
	Reload() api.Reload
	Check() api.Reload
	Stats() api.Stats
	// Ready returns why phones cannot register, nil where they can.
	Ready() error
}

// Options are what a server is made of.
type Options struct {
	Daemon   Daemon
	Store    location.Store
	Recorder *journal.Recorder
	Guard    *guard.Guard
	Metrics  http.Handler
	Token    string // that HTTP asks for, not the control socket; empty: none
	Clock    func() time.Time
	Trouble  func(error) // told of what goes wrong and is got over
}

const (
	headerTime    = 10 * time.Second // for a request to come
	idleTime      = 2 * time.Minute  // of a connection between requests
	answerTime    = 30 * time.Second // for an answer to be taken
	maxHeader     = 16 << 10         // bytes
	maxBody       = 64 << 10         // bytes of a request
	keepaliveTime = 15 * time.Second // between two signs of life to a watcher
	maxWatchers   = 64
	closeTime     = 2 * time.Second // for answers on their way
)

// Server serves the API. Close ends it.
type Server struct {
	Options
	watchers  chan struct{} // a place for each
	servers   []*http.Server
	addresses []string
	running   sync.WaitGroup
	closing   context.Context
	close     context.CancelFunc
}

// New returns a server that listens nowhere yet.
func New(options Options) *Server {
	s := &Server{Options: options, watchers: make(chan struct{}, maxWatchers)}
	s.closing, s.close = context.WithCancel(context.Background())
	return s
}

// ListenUnix serves the control socket at a path, where the file's mode says who
// may use it: its owner and its group. A socket that nobody listens on any more
// makes way.
func (s *Server) ListenUnix(path string) error {
	listener, err := listenUnix(path)
	if err != nil {
		return fmt.Errorf("no control socket: %w", err)
	}
	s.serve(listener, s.routes())
	return nil
}

func listenUnix(path string) (net.Listener, error) {
	listener, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if other, live := net.Dial("unix", path); live == nil {
			other.Close()
			return nil, fmt.Errorf("%s: another sipregd listens there: name another one as [admin] socket", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
		listener, err = net.Listen("unix", path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: make its directory, or name another path as [admin] socket", err)
	case err != nil:
		return nil, err
	}
	const ownerAndGroup = 0o660
	return listener, os.Chmod(path, ownerAndGroup)
}

// ListenHTTP serves an address, host:port.
func (s *Server) ListenHTTP(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("cannot listen on [admin] http: %w", err)
	}
	s.addresses = append(s.addresses, "http "+listener.Addr().String())
	s.serve(listener, s.guarded(s.routes()))
	return nil
}

// Addresses returns where HTTP is served, as "http 127.0.0.1:8060".
func (s *Server) Addresses() []string { return s.addresses }

func (s *Server) serve(listener net.Listener, handler http.Handler) {
	server := &http.Server{
		Handler:           http.MaxBytesHandler(handler, maxBody),
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       headerTime,
		WriteTimeout:      answerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(troubleWriter(s.Trouble), "", 0),
		BaseContext:       func(net.Listener) context.Context { return s.closing },
	}
	s.servers = append(s.servers, server)
	s.running.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.Trouble(err)
		}
	})
}

// troubleWriter passes on what net/http logs, a line at a time.
type troubleWriter func(error)

func (w troubleWriter) Write(line []byte) (int, error) {
	w(fmt.Errorf("admin: %q", line))
	return len(line), nil
}

// Close ends the watches, lets answers on their way go, and waits until nothing
// runs any more.
func (s *Server) Close() {
	s.close()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	for _, server := range s.servers {
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	}
	s.running.Wait()
}
