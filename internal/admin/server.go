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
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"sipregd/internal/admin/api"
	"sipregd/internal/guard"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/peers"
	"sipregd/internal/qualify"
	"sipregd/internal/sipuri"
)

// Daemon is what the administrator looks at and acts on. It may be used by many
// goroutines at once.
type Daemon interface {
	Directory() *peers.Directory
	// Locate returns the AOR that a URI names and what it is bound to: all, or that of
	// one phone where it is a GRUU (RFC 5627).
	// stale: that is what this node saw last, or it saw nothing.
	Locate(uri sipuri.URI) (aor sipuri.AOR, bindings []location.Binding, stale bool)
	// FlowGone tells whether the phone of a binding has lost the connection that it is
	// reached by.
	FlowGone(b *location.Binding) bool
	// Remove removes the bindings of an AOR that have those IDs, and makes that last.
	Remove(aor sipuri.AOR, ids []uint64) (removed int, err error)
	// Reload reads the peers anew. Check tells what that would do.
	Reload() api.Reload
	Check() api.Reload
	Stats() api.Stats
	// Ready returns why phones cannot register, nil where they can.
	Ready() error
}

// BanObserver is told what the administrator does about bans.
type BanObserver interface {
	Banned(guard.Ban)
	Lifted(netip.Prefix)
}

// Qualifier knows which phones are there.
type Qualifier interface {
	Status(id uint64) (status qualify.Status, known bool)
}

// Options are what a server is made of.
type Options struct {
	Daemon    Daemon
	Store     location.Store
	Recorder  *journal.Recorder
	Qualifier Qualifier // nil: nobody asks phones
	Guard     *guard.Guard
	Bans      BanObserver
	Forgets   bool // the recorder is told of no events
	Metrics   http.Handler
	// Replaces says that the control socket of another daemon, which is to end, makes way.
	Replaces bool
	// Control is called for the socket of HTTP before it listens; nil: nothing is.
	Control func(network, address string, raw syscall.RawConn) error
	Token   string // that HTTP asks for, not the control socket; empty: none
	Clock   func() time.Time
	Trouble func(error) // told of what goes wrong and is got over
}

const (
	requestTime    = 10 * time.Second // for a request to come
	idleTime       = 2 * time.Minute  // of a connection between requests
	answerTime     = 30 * time.Second // for an answer to be taken
	maxHeader      = 16 << 10         // bytes
	maxBody        = 64 << 10         // bytes of a request
	keepaliveTime  = 15 * time.Second // between two signs of life to a watcher
	maxWatchers    = 64
	maxConnections = 256             // of each listener: phones need file descriptors too
	closeTime      = 2 * time.Second // for answers on their way
)

// Server serves the API. Close ends it.
type Server struct {
	Options
	requestTime time.Duration
	answerTime  time.Duration
	keepalive   time.Duration
	watchers    chan struct{} // a place for each
	searching   sync.Mutex    // one search through all bindings at a time: phones go first
	requests    sync.RWMutex  // held by each request for reading, and by Close for good
	servers     []*http.Server
	addresses   []string
	running     sync.WaitGroup
	closing     context.Context
	close       context.CancelFunc
}

// New returns a server that listens nowhere yet.
func New(options Options) *Server {
	s := &Server{Options: options, requestTime: requestTime, answerTime: answerTime, keepalive: keepaliveTime, watchers: make(chan struct{}, maxWatchers)}
	s.closing, s.close = context.WithCancel(context.Background())
	return s
}

// ListenUnix serves the control socket at a path, where the file's mode says who
// may use it: its owner and its group. A socket that nobody listens on any more
// makes way, and that of a daemon to replace.
func (s *Server) ListenUnix(path string) error {
	listener, err := listenUnix(path, s.Replaces)
	if err != nil {
		return fmt.Errorf("no control socket: %w", err)
	}
	s.serve(listener, s.routes())
	return nil
}

func listenUnix(path string, replaces bool) (net.Listener, error) {
	listener, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeSocket(path, replaces); err != nil {
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
	if replaces { // another one may be there when this daemon ends
		listener.(*net.UnixListener).SetUnlinkOnClose(false)
	}
	const ownerAndGroup = 0o660
	if err := os.Chmod(path, ownerAndGroup); err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}

// removeSocket removes a socket that nobody listens on, or that of a daemon to replace.
// It leaves alone what is no socket: that somebody has named by mistake.
func removeSocket(path string, replaces bool) error {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is no socket: name another path as [admin] socket", path)
	}
	if replaces {
		return os.Remove(path)
	}
	other, err := net.Dial("unix", path)
	switch {
	case err == nil:
		other.Close()
		return fmt.Errorf("%s: another sipregd listens there: name another path as [admin] socket", path)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return err // it may live
	}
	return os.Remove(path)
}

// ListenHTTP serves an address, host:port.
func (s *Server) ListenHTTP(address string) error {
	config := net.ListenConfig{Control: s.Control}
	listener, err := config.Listen(s.closing, "tcp", address)
	if err != nil {
		return fmt.Errorf("cannot listen on [admin] http %s: %w; name another port, or stop who has this one", address, err)
	}
	s.addresses = append(s.addresses, "http "+listener.Addr().String())
	s.serve(listener, s.guarded(s.routes()))
	return nil
}

// Addresses returns where HTTP is served, as "http 127.0.0.1:8060".
func (s *Server) Addresses() []string { return s.addresses }

func (s *Server) serve(listener net.Listener, handler http.Handler) {
	server := &http.Server{
		Handler:        http.MaxBytesHandler(s.untilClosed(handler), maxBody),
		ReadTimeout:    s.requestTime,
		WriteTimeout:   s.answerTime,
		IdleTimeout:    idleTime,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       log.New(troubleWriter(s.Trouble), "", 0),
		BaseContext:    func(net.Listener) context.Context { return s.closing },
	}
	s.servers = append(s.servers, server)
	s.running.Go(func() {
		if err := server.Serve(netutil.LimitListener(listener, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
			s.Trouble(err)
		}
	})
}

// untilClosed serves as long as the server is not closed: what requests need may
// be gone then.
func (s *Server) untilClosed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.requests.TryRLock() {
			fail(w, http.StatusServiceUnavailable, "sipregd is stopping")
			return
		}
		defer s.requests.RUnlock()
		next.ServeHTTP(w, r)
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
	if s.closing.Err() != nil {
		return // it was closed before
	}
	s.close()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	for _, server := range s.servers {
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	}
	s.running.Wait()
	s.requests.Lock() // for good
}
