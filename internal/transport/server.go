// Package transport moves bytes: datagrams and streams come in, go to the
// transaction layer, and its answers go back by the way they came (RFC 3261
// §18.2).
package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

// Handler handles messages. The data it is given is only valid until it returns.
type Handler interface {
	// Receive handles one message. Its answer is appended to room.
	Receive(room, data []byte, flow message.Flow, now time.Time) transaction.Reply
	// Refuse answers what came on a stream that can be framed no more.
	Refuse(data []byte, flow message.Flow, wrong *message.Error) transaction.Reply
	// NotStored answers a message whose change was undone since it cannot be
	// made to last.
	NotStored(data []byte, flow message.Flow, now time.Time) transaction.Reply
}

// Durability makes last what messages have changed, before that is answered.
type Durability interface {
	// Begin returns the mark to give to Commit.
	Begin() location.Mark
	// Commit returns when what was changed since the mark lasts, or cannot be
	// made to. After an error it was undone.
	Commit(since location.Mark) error
}

// Server owns the sockets and the goroutines that read them.
type Server struct {
	// Closed is told of each stream that has ended and that a peer had proved itself
	// on, after all that came on it was handled. It is not told of those that the
	// server's own close ends. It is set before Serve, if at all.
	Closed func(stream uint64)
	// Bound tells whether a binding is reached by a stream. It is asked of those that are
	// silent. It is set before Serve, if at all.
	Bound func(stream uint64) bool

	// Admits tells whether a stream from a source is to be taken in, before anything is
	// read of it. It is set before Serve, if at all; nil: all are.
	Admits func(source netip.AddrPort, transport string, now time.Time) bool

	// Reads tells whether a datagram from a source is to be read, and whether the source is
	// known: where there are too many, those of strangers are dropped first. It is asked once
	// for each. It is set before Serve, if at all; nil: all are read, and known.
	Reads func(source netip.AddrPort, transport string, now time.Time) (reads, known bool)

	// NoTLS is told why no TLS came about with somebody who has tried. nil: trouble is.
	NoTLS func(flow message.Flow, cause error)

	// Blocks tells that whoever changes bindings waits for the store, as for one on
	// another machine: many then wait at once. It is set before Serve.
	Blocks bool

	handler Handler
	store   Durability
	times   times
	trouble func(error) // told of what goes wrong and is got over

	readers   []*datagrams
	listeners []listener
	claims    []net.Listener // of UDP addresses that are not shared
	streams   streams
	rooms     sync.Pool // of *[]byte, for the answers on streams
	reads     sync.Pool // of *[]byte, of readSize, for what comes on them
	puts      sync.Pool // of *put
	postings  sync.Pool // of *posting
	running   sync.WaitGroup
	closing   atomic.Bool
}

// times is how long streams wait for their phones.
type times struct {
	start time.Duration // for the rest of a message, and for a peer to prove itself
	idle  time.Duration // for the next message of a peer that has
	look  time.Duration // likewise, where nothing is bound over the stream
}

// closeTime is how long a close waits for answers on their way.
const closeTime = 2 * time.Second

// Addresses are where to listen, each host:port; an empty host is every address
// of the machine.
//
// Where there is MutualTLS, phones are asked for their certificates there alone; else by
// TLS and WSS.
type Addresses struct {
	UDP, TCP, TLS, MutualTLS, WS, WSS []string

	// Inherited are sockets that are taken where they are at one of the addresses. nil: none
	// are there.
	Inherited *Inherited
	// Shared lets another process listen there too that says the same, and has this one end
	// without losing what comes.
	Shared bool
}

// Listen opens sockets on the addresses. Nothing is read before Serve: it waits
// in the kernel. certificate is what TLS and WSS show, and may be nil where they
// are not listened on. longest is the longest time that a phone may stay silent, its
// expiration. trouble is told of failures that the server gets over, and may be
// called at any time.
func Listen(addresses Addresses, certificate *Certificate, longest time.Duration, trouble func(error)) (*Server, error) {
	s := &Server{times: times{startTime, longest + idleGrace, lookTime}, trouble: trouble}
	s.rooms.New = func() any { return new([]byte) }
	s.reads.New = func() any { buffer := make([]byte, 0, readSize); return &buffer }
	s.puts.New, s.postings.New = newPut, newPosting
	s.streams.open, s.streams.sources = map[uint64]*stream{}, map[netip.Addr]*source{}
	s.Limit(Limits{Streams: MaxStreams, PerSource: MaxStreamsPerSource})
	s.beginStreams(time.Now())
	asks := len(addresses.MutualTLS) == 0
	for _, kind := range [...]struct {
		name      string
		secure    *tls.Config
		addresses []string
	}{
		{"UDP", nil, addresses.UDP}, {"TCP", nil, addresses.TCP}, {"WS", nil, addresses.WS},
		{"TLS", certificate.config("TLS", asks), addresses.TLS}, {"WSS", certificate.config("WSS", asks), addresses.WSS},
		{"TLS", certificate.config("TLS", true), addresses.MutualTLS},
	} {
		for _, address := range kind.addresses {
			if err := s.listen(kind.name, kind.secure, address, &addresses); err != nil {
				s.Close()
				return nil, explain(strings.ToLower(kind.name), address, addresses.Shared, err)
			}
		}
	}
	return s, nil
}

func (s *Server) listen(transport string, secure *tls.Config, address string, how *Addresses) error {
	if transport == "UDP" {
		return s.listenUDP(address, how)
	}
	return s.listenStreams(transport, secure, address, how)
}

// explain says what to do about an address that cannot be listened on.
func explain(kind, address string, shared bool, err error) error {
	advice := "check the address in [listen]"
	switch {
	case errors.Is(err, errAlone):
		advice = "stop it, or write share_ports = yes into its [listen] too and restart it"
	case errors.Is(err, errAddrInUse) && shared:
		advice = "stop what listens there, or, if it is another sipregd, write share_ports = yes into its [listen] too and restart it, under this account"
	case errors.Is(err, errAddrInUse):
		advice = "another program, or another sipregd, listens there: stop it or change [listen]"
	case errors.Is(err, errNotPermitted):
		advice = "ports below 1024 need CAP_NET_BIND_SERVICE"
	case errors.Is(err, errAddrNotAvailable):
		advice = "no interface of this machine has that address"
	}
	return fmt.Errorf("cannot listen on %s %s: %w; %s", kind, address, err, advice)
}

// Addresses returns where the server listens, as "udp 127.0.0.1:5060".
func (s *Server) Addresses() []string {
	var addresses []string
	seen := map[netip.AddrPort]bool{}
	for _, d := range s.readers {
		if !seen[d.local] {
			seen[d.local] = true
			addresses = append(addresses, "udp "+d.local.String())
		}
	}
	for _, l := range s.listeners {
		addresses = append(addresses, strings.ToLower(l.transport)+" "+l.Addr().String())
	}
	return addresses
}

// Serve starts reading and returns at once.
func (s *Server) Serve(handler Handler, store Durability) {
	s.handler, s.store = handler, store
	for _, d := range s.readers {
		if s.Blocks {
			d.atOnce = newAtOnce(batchSize)
		}
		d.reads = s.Reads
		s.running.Go(func() { d.serve(handler, store, s.trouble) })
	}
	for _, l := range s.listeners {
		s.running.Go(func() { s.accept(l) })
	}
	for _, claim := range s.claims {
		s.running.Go(func() { takeAskers(claim) })
	}
}

// Close has what has come by now answered, for a phone on a stream does not ask
// again; then it closes all sockets and waits until nothing runs any more.
func (s *Server) Close() {
	s.closing.Store(true)
	for _, l := range s.listeners {
		l.Close()
	}
	for _, claim := range s.claims {
		claim.Close()
	}
	for _, d := range s.readers {
		_ = d.conn.SetReadDeadline(time.Now())
	}
	s.streams.wakeAll()
	s.waitFor(closeTime)
	for _, d := range s.readers {
		d.close()
	}
	s.streams.closeAll()
	s.running.Wait()
}

// waitFor waits until nothing runs any more, but not longer than that.
func (s *Server) waitFor(limit time.Duration) {
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

// networks returns the networks to open an address on, "udp" or "tcp" with 4
// or 6 behind it. Every address of the machine is two sockets, so that each
// speaks one family.
func networks(kind, address string) ([]string, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if host == "" {
		return []string{kind + "4", kind + "6"}, nil
	}
	ip, err := resolve("ip", host)
	if err != nil {
		return nil, err
	}
	if ip.Is4() {
		return []string{kind + "4"}, nil
	}
	return []string{kind + "6"}, nil
}

// resolve returns what a host of [listen] stands for, on "ip", "ip4" or "ip6".
func resolve(network, host string) (netip.Addr, error) {
	resolved, err := net.ResolveIPAddr(network, host)
	if err != nil {
		return netip.Addr{}, err
	}
	ip, _ := netip.AddrFromSlice(resolved.IP)
	return ip.Unmap().WithZone(resolved.Zone), nil
}
