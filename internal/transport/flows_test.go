package transport

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

// proving is an echo by which each message but OPTIONS proves a peer. It passes on the
// flows that messages come by, after the last of which it waits where it is to.
type proving struct {
	echo
	flows   chan message.Flow
	wait    chan struct{} // nil: it does not
	padding []byte        // behind each answer
}

func newProving() *proving { return &proving{flows: make(chan message.Flow, 1000)} }

func (p *proving) Receive(room, data []byte, flow message.Flow, now time.Time) transaction.Reply {
	p.flows <- flow
	if p.wait != nil {
		<-p.wait
	}
	reply := p.echo.Receive(room, data, flow, now)
	reply.Data = append(reply.Data, p.padding...)
	reply.Proved = bytes.HasPrefix(data, []byte("INVITE "))
	reply.Rests = !reply.Proved && !bytes.HasPrefix(data, []byte("OPTIONS "))
	return reply
}

// flow writes a message and returns the flow that it came by.
func (p *proving) flow(t testing.TB, conn net.Conn) message.Flow {
	t.Helper()
	write(t, conn, sound)
	select {
	case flow := <-p.flows:
		return flow
	case <-time.After(patience):
		t.Fatal("nothing is handled")
	}
	return message.Flow{}
}

func send(t *testing.T, s *Server, flow message.Flow, text string) {
	t.Helper()
	if err := s.Send(flow, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestSendByEachTransport(t *testing.T) {
	for _, network := range transports {
		t.Run(network, func(t *testing.T) {
			s, p := listenOn(t, network), newProving()
			s.Serve(p, nothing)
			conn := dialServer(t, network, s)
			flow := p.flow(t, conn)
			reader := bufio.NewReader(conn)
			readLine(t, reader)
			large := strings.Repeat("x", 3000)
			if network != "udp" { // a frame or a record is written in parts
				large = strings.Repeat("x", 60000)
			}
			for _, text := range []string{"one", "two", large} {
				data := []byte(text + "\n")
				if err := s.Send(flow, data); err != nil {
					t.Fatal(err)
				}
				clear(data)
				if line := readLine(t, reader); line != text {
					t.Errorf("got %.100q, want %.100q", line, text)
				}
			}
			p.flow(t, conn) // it lives on
			if line := readLine(t, reader); !strings.HasPrefix(line, strings.ToUpper(network)) {
				t.Errorf("got %q", line)
			}
		})
	}
}

func TestStreamsHaveIDsOfTheirOwn(t *testing.T) {
	before := uint64(time.Now().UnixNano())
	s, p := listenOn(t, "tcp"), newProving()
	s.Serve(p, nothing)
	seen := map[uint64]bool{}
	for range 3 {
		conn := dialServer(t, "tcp", s)
		id := p.flow(t, conn).Stream
		if again := p.flow(t, conn).Stream; again != id || seen[id] || id < before {
			t.Errorf("IDs %d, then %d, after %v from %d on", id, again, seen, before)
		}
		seen[id] = true
	}
	later := listenOn(t, "tcp")
	later.Serve(p, nothing)
	if id := p.flow(t, dialServer(t, "tcp", later)).Stream; seen[id] || id < before+3 {
		t.Errorf("a later server has the ID %d, after %v", id, seen)
	}
	u := listenOn(t, "udp")
	u.Serve(p, nothing)
	if id := p.flow(t, dialServer(t, "udp", u)).Stream; id != 0 {
		t.Errorf("a datagram came on the stream %d", id)
	}
}

// A NAT lets in just what comes from the address and port that the phone sent to.
func TestSendOverUDPFromTheAddressThatWasAsked(t *testing.T) {
	tests := []struct{ name, listen, host string }{
		{"one address", "127.0.0.1:0", "127.0.0.1"},
		{"all addresses, the first", ":0", "127.0.0.1"},
		{"all addresses, the second", ":0", "127.0.0.2"},
		{"all addresses, another", ":0", "127.7.8.9"},
		{"one address of IPv6", "[::1]:0", "::1"},
		{"all addresses of IPv6", "[::]:0", "::1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if strings.Contains(test.host, "::") {
				ownIPv6(t)
			}
			s, p := listen(t, []string{test.listen}, nil), newProving()
			s.Serve(p, nothing)
			to := netip.AddrPortFrom(netip.MustParseAddr(test.host), s.readers[0].local.Port())
			conn := dial(t, "udp", to.String()) // connected: takes nothing from elsewhere
			flow := p.flow(t, conn)
			readDatagram(t, conn)
			send(t, s, flow, "hello")
			if got := readDatagram(t, conn); got != "hello" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// Each of the machine's IPv6 addresses, since the phone cannot be of another family.
func TestSendOverUDPFromEachIPv6Address(t *testing.T) {
	s, p := listen(t, []string{"[::]:0"}, nil), newProving()
	s.Serve(p, nothing)
	for _, address := range ownIPv6(t) {
		conn := dial(t, "udp", netip.AddrPortFrom(address, s.readers[0].local.Port()).String())
		flow := p.flow(t, conn)
		readDatagram(t, conn)
		send(t, s, flow, "hello")
		if got := readDatagram(t, conn); got != "hello" || flow.Local.Addr() != address {
			t.Errorf("got %q from %v", got, flow.Local)
		}
	}
}

func readDatagram(t *testing.T, conn net.Conn) string {
	t.Helper()
	buffer := make([]byte, 65536)
	n, err := conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

// What a binding says of its way may be older than what is listened on.
func TestSendOverUDPWhereTheFlowIsOfAnotherTime(t *testing.T) {
	all := listen(t, []string{":0"}, nil)
	two := listen(t, []string{"127.0.0.1:0", "127.0.0.2:0"}, nil)
	v6 := listen(t, []string{"[::1]:0"}, nil)
	none := listen(t, nil, []string{"127.0.0.1:0"})
	port := func(s *Server) uint16 { return s.readers[len(s.readers)-1].local.Port() }
	at := func(host string, port uint16) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(host), port)
	}
	port4 := all.readers[0].local.Port()
	tests := []struct {
		name   string
		server *Server
		local  netip.AddrPort
		from   string // host; empty: nothing is sent
	}{
		{"the second of two addresses", two, at("127.0.0.2", port(two)), "127.0.0.2"},
		{"no address", two, netip.AddrPort{}, "127.0.0.1"},
		{"no address, all are listened on", all, netip.AddrPort{}, "127.0.0.1"},
		{"an address among all", all, at("127.3.3.3", port4), "127.3.3.3"},
		{"all addresses", all, at("0.0.0.0", port4), "127.0.0.1"},
		{"all of the other family", all, at("::", port4), "127.0.0.1"},
		{"an address of the other family", all, at("::1", port4), "127.0.0.1"},
		{"another port", all, at("127.0.0.1", port4+1), ""},
		{"another address", two, at("127.0.0.9", port(two)), ""},
		{"just the other family", v6, netip.AddrPort{}, ""},
		{"no UDP at all", none, netip.AddrPort{}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			phone, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			defer phone.Close()
			_ = phone.SetDeadline(time.Now().Add(patience))
			flow := message.Flow{Transport: "UDP", Source: phone.LocalAddr().(*net.UDPAddr).AddrPort(), Local: test.local}
			err = test.server.Send(flow, []byte("hello"))
			if test.from == "" {
				if !errors.Is(err, ErrNoFlow) {
					t.Errorf("sent: %v", err)
				}
				return
			}
			buffer := make([]byte, 100)
			if err != nil {
				t.Fatal(err)
			}
			n, from, err := phone.ReadFromUDPAddrPort(buffer)
			if err != nil || string(buffer[:n]) != "hello" || from.Addr().String() != test.from {
				t.Errorf("got %q from %v, %v", buffer[:n], from, err)
			}
		})
	}
}

// Linux says of that for IPv4 what it says where there is no route.
func TestSendFromAnAddressThatIsNotThisMachines(t *testing.T) {
	s := listen(t, []string{":0"}, nil)
	local := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), s.readers[0].local.Port())
	err := s.Send(message.Flow{Transport: "UDP", Source: netip.MustParseAddrPort("127.0.0.1:9"), Local: local}, []byte("x"))
	if !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, ErrNoFlow) {
		t.Errorf("got %v", err)
	}
}

func TestSendThatTheNetworkRefuses(t *testing.T) {
	s := listen(t, []string{"127.0.0.1:0"}, nil)
	flow := message.Flow{Transport: "UDP", Source: netip.MustParseAddrPort("127.0.0.1:9")}
	if err := s.Send(flow, make([]byte, 70000)); !errors.Is(err, syscall.EMSGSIZE) || !strings.Contains(err.Error(), "127.0.0.1:9") {
		t.Errorf("got %v", err)
	}
}

// A route that is lost may be back the next moment: that ends no flow.
func TestWhatEndsAFlowOverUDP(t *testing.T) {
	from, to := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddrPort("203.0.113.9:5060")
	for _, test := range []struct {
		name   string
		failed syscall.Errno
		from   netip.Addr
		ends   bool
	}{
		{"the address is not ours", syscall.EINVAL, from, true},
		{"no address was asked for", syscall.EINVAL, netip.Addr{}, false},
		{"no route", syscall.ENETUNREACH, from, false},
		{"the host is off", syscall.EHOSTUNREACH, from, false},
		{"a firewall", syscall.EPERM, from, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := postError(test.failed, test.from, to)
			if errors.Is(err, ErrNoFlow) != test.ends || !errors.Is(err, test.failed) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSendByAFlowThatHasEnded(t *testing.T) {
	for _, network := range transports {
		t.Run(network, func(t *testing.T) {
			s, p := listenOn(t, network), newProving()
			ended := make(chan uint64, 1)
			s.Closed = func(stream uint64) { ended <- stream }
			s.Serve(p, nothing)
			conn := dialServer(t, network, s)
			flow := p.flow(t, conn)
			if network != "udp" {
				conn.Close()
				waitEnded(t, ended, flow.Stream)
				if err := s.Send(flow, []byte("x")); err != ErrNoFlow {
					t.Errorf("after the phone's end: %v", err)
				}
				flow = p.flow(t, dialServer(t, network, s))
			}
			s.Close()
			if err := s.Send(flow, []byte("x")); err != ErrNoFlow {
				t.Errorf("after the close: %v", err)
			}
			for _, stream := range []uint64{0, location.EarlierStream, flow.Stream + 1000} {
				flow := message.Flow{Transport: "TCP", Source: flow.Source, Local: flow.Local, Stream: stream}
				if err := s.Send(flow, []byte("x")); err != ErrNoFlow {
					t.Errorf("on the stream %d: %v", stream, err)
				}
			}
		})
	}
}

// onlyStream returns the ID of the one stream that is open.
func onlyStream(s *Server) (id uint64) {
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	for id = range s.streams.open {
	}
	return id
}

func waitEnded(t *testing.T, ended <-chan uint64, want uint64) {
	t.Helper()
	select {
	case got := <-ended:
		if got != want {
			t.Errorf("the stream %d has ended, not %d", got, want)
		}
	case <-time.After(patience):
		t.Fatal("nothing is told of the end")
	}
}

// A stream has begun with its connection, but nothing can be sent before its handshake.
func TestSendBeforeAHandshake(t *testing.T) {
	for _, network := range []string{"tls", "ws", "wss"} {
		t.Run(network, func(t *testing.T) {
			s := listenOn(t, network)
			s.Serve(&echo{}, nothing)
			conn := dial(t, "tcp", s.listeners[0].Addr().String())
			for deadline := time.Now().Add(patience); s.Counts().Streams == 0 && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			flow := message.Flow{Transport: strings.ToUpper(network), Stream: onlyStream(s)}
			if err := s.Send(flow, []byte("x")); err != ErrNoFlow {
				t.Errorf("sent: %v", err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read %d bytes, %v", n, err)
			}
		})
	}
}

// Messages of several writers stay whole.
func TestSendWhileAnswersGoOut(t *testing.T) {
	const count, senders = 300, 2
	for _, network := range transports[1:] {
		t.Run(network, func(t *testing.T) {
			s, p := listenOn(t, network), newProving()
			s.Serve(p, nothing)
			conn := dialServer(t, network, s)
			flow := p.flow(t, conn)
			reader := bufio.NewReader(conn)
			answer := readLine(t, reader)
			var writing sync.WaitGroup
			for i := range senders {
				writing.Go(func() {
					for range count {
						if err := s.Send(flow, []byte(sentLine(i)+"\n")); err != nil && err != ErrBusy {
							t.Error(err)
							return
						}
					}
				})
			}
			writing.Go(func() {
				for range count {
					if _, err := io.WriteString(conn, sound); err != nil {
						t.Error(err)
						return
					}
				}
			})
			answers := 0
			for answers < count {
				switch line := readLine(t, reader); line {
				case answer:
					answers++
				case sentLine(0), sentLine(1):
				default:
					t.Fatalf("got %.200q", line)
				}
			}
			go discard(reader)
			writing.Wait()
		})
	}
}

func sentLine(sender int) string { return strings.Repeat(string(rune('a'+sender)), 5000) }

// RFC 7118 §5: each message is a frame, of text where it is text.
func TestSendByFrames(t *testing.T) {
	for _, network := range []string{"ws", "wss"} {
		t.Run(network, func(t *testing.T) {
			s, p := listenOn(t, network), newProving()
			s.Serve(p, nothing)
			var below net.Conn
			socket := openWebSocket(t, s, &below)
			writeTo(t, socket, websocket.MessageBinary, sound)
			readFrame(t, socket)
			flow := <-p.flows
			for text, want := range map[string]websocket.MessageType{"télé": websocket.MessageText, "t\xe9l\xe9": websocket.MessageBinary} {
				send(t, s, flow, text)
				if kind, got := readFrame(t, socket); kind != want || got != text {
					t.Errorf("got %v %q, want %v %q", kind, got, want, text)
				}
			}
		})
	}
}

// Whoever does not read holds up nobody, and is cut off where a part was written.
func TestSendToWhoDoesNotRead(t *testing.T) {
	for _, network := range transports[1:] {
		t.Run(network, func(t *testing.T) {
			s, p := listenOn(t, network), newProving()
			ended := make(chan uint64, 1)
			s.Closed = func(stream uint64) { ended <- stream }
			s.Serve(p, nothing)
			flow := p.flow(t, dialServer(t, network, s))
			busy := 0
			began := time.Now()
			for text := []byte(strings.Repeat("x", 1000)); busy < 1000; {
				switch err := s.Send(flow, text); err {
				case nil:
				case ErrBusy:
					busy++
				default:
					t.Fatal(err)
				}
			}
			if took := time.Since(began); took > patience {
				t.Errorf("it took %v", took)
			}
			if len(ended) > 0 {
				t.Error("the stream has ended")
			}
		})
	}
}

// An answer waits longer for the phone, and what is sent does not wait for the answer.
func TestSendWhileAnAnswerWaits(t *testing.T) {
	for _, network := range transports[1:] {
		t.Run(network, func(t *testing.T) {
			s, p := listenOn(t, network), newProving()
			p.padding = make([]byte, 16<<20)
			s.Serve(p, nothing)
			flow := p.flow(t, dialServer(t, network, s))
			st := s.streams.find(flow.Stream)
			waits := func() bool {
				if st.mu.TryLock() {
					st.mu.Unlock()
					return false
				}
				return !st.hasRoom()
			}
			for deadline := time.Now().Add(patience); !waits(); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("no answer waits")
				}
			}
			began := time.Now()
			for range 20 {
				if err := s.Send(flow, []byte("x")); err != ErrBusy {
					t.Errorf("sent: %v", err)
				}
			}
			if took := time.Since(began); took > writeTime-time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestSendOfAPart(t *testing.T) {
	for _, network := range transports[1:] {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			s, p := listenOn(t, network), newProving()
			ended := make(chan uint64, 1)
			s.Closed = func(stream uint64) { ended <- stream }
			s.Serve(p, nothing)
			flow := p.flow(t, dialServer(t, network, s))
			began := time.Now()
			err := s.Send(flow, make([]byte, 16<<20))
			if took := time.Since(began); took > writeTime-time.Second {
				t.Errorf("it took %v", took)
			}
			if !errors.Is(err, ErrNoFlow) || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("sent: %v", err)
			}
			waitEnded(t, ended, flow.Stream)
		})
	}
}

// A message that does not go out at once leaves nothing behind for the next one.
func TestSendToWhoReadsLate(t *testing.T) {
	for _, network := range transports[1:] {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			s, p := listenOn(t, network), newProving()
			s.Serve(p, nothing)
			conn := dialServer(t, network, s)
			flow := p.flow(t, conn)
			reader := bufio.NewReader(conn)
			readLine(t, reader)
			shrink(t, s.streams.find(flow.Stream).conn)
			sent := make(chan error)
			go func() { sent <- s.Send(flow, []byte(strings.Repeat("x", 1_000_000)+"\n")) }()
			time.Sleep(50 * time.Millisecond)
			if line := readLine(t, reader); len(line) != 1_000_000 {
				t.Errorf("got %d bytes", len(line))
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			time.Sleep(sendTime) // the deadline is over
			p.flow(t, conn)
			readLine(t, reader)
			send(t, s, flow, "more\n")
			if line := readLine(t, reader); line != "more" {
				t.Errorf("got %q", line)
			}
		})
	}
}

// shrink has the kernel keep little of what a phone does not read.
func shrink(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	if err := conn.SetWriteBuffer(1 << 16); err != nil {
		t.Fatal(err)
	}
}

func TestClosedIsToldAfterTheLastMessage(t *testing.T) {
	for _, network := range transports[1:] {
		t.Run(network, func(t *testing.T) {
			s, p := listenOn(t, network), newProving()
			p.wait = make(chan struct{})
			var handled atomic.Int64
			ended := make(chan int64, 1)
			s.Closed = func(uint64) { ended <- handled.Load() }
			s.Serve(p, nothing)
			conn := dialServer(t, network, s)
			for range 3 {
				write(t, conn, sound)
			}
			<-p.flows
			hangUp(conn)
			time.Sleep(10 * time.Millisecond)
			if len(ended) > 0 {
				t.Error("it is told while a message is handled")
			}
			handled.Add(1)
			close(p.wait)
			select {
			case got := <-ended:
				if got != 1 || s.streams.count.Load() != 0 {
					t.Errorf("told after %d, with %d streams", got, s.streams.count.Load())
				}
			case <-time.After(patience):
				t.Fatal("nothing is told of the end")
			}
		})
	}
}

// hangUp ends a connection without a word of what is on top of it.
func hangUp(conn net.Conn) {
	if f, ok := conn.(framed); ok {
		conn = f.below
	}
	conn.Close()
}

// Bindings survive a restart, and a stranger has none.
func TestClosedIsNotTold(t *testing.T) {
	for _, network := range transports[1:] {
		t.Run(network, func(t *testing.T) {
			s, p := listenOn(t, network), newProving()
			ended := make(chan uint64, 3)
			s.Closed = func(stream uint64) { ended <- stream }
			s.Serve(p, nothing)
			stranger := dialServer(t, network, s)
			write(t, stranger, "OPTIONS"+sound[1:])
			<-p.flows
			hangUp(stranger)
			waitStreams(t, s, 0)
			phone := dialServer(t, network, s)
			flow := p.flow(t, phone)
			hangUp(phone)
			waitEnded(t, ended, flow.Stream) // and not the stranger's before
			p.flow(t, dialServer(t, network, s))
			s.Close()
			if len(ended) > 0 {
				t.Errorf("the end of the stream %d is told", <-ended)
			}
		})
	}
}

// waitStreams waits until so many streams are open.
func waitStreams(t *testing.T, s *Server, want int) {
	t.Helper()
	for deadline := time.Now().Add(patience); s.Counts().Streams != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d streams are open, want %d", s.Counts().Streams, want)
		}
	}
}

func TestSendWhileTheServerCloses(t *testing.T) {
	for _, network := range transports {
		t.Run(network, func(t *testing.T) {
			s, p := listenOn(t, network), newProving()
			s.Serve(p, nothing)
			conn := dialServer(t, network, s)
			flow := p.flow(t, conn)
			go discard(conn)
			var sending sync.WaitGroup
			for range 2 {
				sending.Go(func() {
					for {
						switch err := s.Send(flow, []byte("x")); {
						case errors.Is(err, ErrNoFlow):
							return
						case err != nil && err != ErrBusy:
							t.Error(err)
							return
						}
					}
				})
			}
			time.Sleep(10 * time.Millisecond)
			s.Close()
			sending.Wait()
		})
	}
}

func TestScope(t *testing.T) {
	loopback, err := net.InterfaceByName("lo")
	if err != nil {
		skip(t, "this machine has no lo")
	}
	for zone, want := range map[string]uint32{"": 0, "7": 7, "lo": uint32(loopback.Index), "no such link": 0} {
		if got := scope(zone); got != want {
			t.Errorf("%q: %d, want %d", zone, got, want)
		}
	}
}

// discard reads and drops until the end.
func discard(conn io.Reader) { _, _ = io.Copy(io.Discard, conn) }

func BenchmarkSend(b *testing.B) {
	data := []byte(strings.Repeat("x", 400))
	for _, network := range transports {
		b.Run(network, func(b *testing.B) {
			s, p := listenOn(b, network), newProving()
			s.Serve(p, nothing)
			conn := dialServer(b, network, s)
			flow := p.flow(b, conn)
			_ = conn.SetDeadline(time.Time{})
			go discard(conn)
			b.ReportAllocs()
			busy := 0
			for b.Loop() {
				if err := s.Send(flow, data); err == ErrBusy {
					busy++
				} else if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(busy)/float64(b.N), "busy/op")
		})
	}
}
