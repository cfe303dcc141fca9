package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const (
	stranger = "OPTIONS sip:r SIP/2.0\r\nContent-Length: 0\r\n\r\n"
	call     = "INVITE sip:r SIP/2.0\r\nContent-Length: 0\r\n\r\n" // of a peer, whose answer rests on no binding
)

func TestSourceOf(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7":                 "192.0.2.7",
		"2001:db8:1:2:3:4:5:6":      "2001:db8:1:2::",
		"2001:db8:1:2:ffff::":       "2001:db8:1:2::",
		"2001:db8:1:3:ffff::":       "2001:db8:1:3::",
		"fe80::1:2%lo":              "fe80::",
		"::1":                       "::",
		"2001:db8:ffff:ffff:1:1:1:": "",
	} {
		parsed, err := netip.ParseAddr(address)
		if err != nil {
			continue
		}
		if got := sourceOf(parsed); got.String() != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

// opened is a stream that a test has opened, in the order of a row's text.
type opened struct {
	letter byte
	conn   net.Conn
}

// Each row opens streams one after the other: p, on which a peer proves itself, or s, on
// which none does, from one address, and P and S from another one. What is left open is
// in the same order.
func TestWhoMakesRoom(t *testing.T) {
	one := netip.MustParseAddr("127.0.0.1")
	for _, test := range []struct {
		name, opens, left string
		limits            Limits
		want              Refusals
	}{
		{"all have room", "pspsPS", "pspsPS", Limits{Streams: 6, PerSource: 4}, Refusals{}},
		{"a source's oldest stranger goes", "spsp", "psp", Limits{Streams: 9, PerSource: 3}, Refusals{MadeRoom: 1}},
		{"not another source's", "SSspsp", "SSpp", Limits{Streams: 9, PerSource: 2}, Refusals{MadeRoom: 2}},
		{"a source that has proved itself on all", "ppps", "ppp", Limits{Streams: 9, PerSource: 3}, Refusals{Source: 1}},
		{"keeps nobody else out", "pppPs", "pppP", Limits{Streams: 9, PerSource: 3}, Refusals{Source: 1}},
		{"a trusted source", "sssps", "sssps", Limits{Streams: 9, PerSource: 2, Trusted: func(a netip.Addr) bool { return a == one }}, Refusals{}},
		{"others are not trusted", "SSS", "SS", Limits{Streams: 9, PerSource: 2, Trusted: func(a netip.Addr) bool { return a == one }}, Refusals{MadeRoom: 1}},
		{"in all, a stranger goes", "pspP", "ppP", Limits{Streams: 3, PerSource: 9}, Refusals{MadeRoom: 1}},
		{"in all, the one of a crowd", "SsssP", "SssP", Limits{Streams: 4, PerSource: 9}, Refusals{MadeRoom: 1}},
		{"in all, all have proved themselves", "ppPs", "ppP", Limits{Streams: 3, PerSource: 9}, Refusals{Total: 1}},
		{"trust is not for more than all", "pps", "pp", Limits{Streams: 2, PerSource: 1, Trusted: func(netip.Addr) bool { return true }}, Refusals{Total: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := listen(t, nil, []string{"127.0.0.1:0"})
			s.Limit(test.limits)
			s.Serve(newProving(), nothing)
			var all []opened
			for _, letter := range []byte(test.opens) {
				all = append(all, opened{letter, open(t, s, letter)})
			}
			all = slices.DeleteFunc(all, func(o opened) bool { return !answers(o.conn) })
			var left []byte
			for _, o := range all {
				left = append(left, o.letter)
			}
			if got := s.Counts(); string(left) != test.left || got.Refused != test.want || got.Streams != len(left) {
				t.Errorf("left are %q, want %q; %+v", left, test.left, got)
			}
			for _, o := range all {
				o.conn.Close()
			}
			for deadline := time.Now().Add(patience); s.Counts().Streams > 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("not all are gone")
				}
			}
			s.streams.mu.Lock()
			defer s.streams.mu.Unlock()
			if len(s.streams.sources) > 0 || s.streams.strangers.Len() > 0 {
				t.Errorf("%d sources and %d strangers are remembered", len(s.streams.sources), s.streams.strangers.Len())
			}
		})
	}
}

// open opens a stream from the address of a letter and sends the first message.
func open(t *testing.T, s *Server, letter byte) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	if letter < 'a' {
		dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}
	}
	conn, err := dialer.Dial("tcp", s.listeners[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	text := stranger
	if letter == 'p' || letter == 'P' {
		text = sound
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, text)
	_, _ = bufio.NewReaderSize(conn, 16).ReadString('\n') // it may be refused
	return conn
}

// answers tells whether a stream is still open at the other end.
func answers(conn net.Conn) bool {
	if _, err := io.WriteString(conn, "\r\n\r\n"); err != nil {
		return false
	}
	room := make([]byte, 1000)
	for { // the rest of the first answer may stand before it
		n, err := conn.Read(room)
		if err != nil {
			return false
		}
		if string(room[:n]) == "\r\n" {
			return true
		}
	}
}

// Whatever a stranger sends, its stream ends when its time is over; on one that a peer has
// proved itself on, it does not.
func TestAStreamWithoutASuccessEnds(t *testing.T) {
	for _, network := range []string{"tcp", "tls", "ws", "wss"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			s := listenOn(t, network)
			s.times.start = time.Second
			s.Serve(newProving(), nothing)
			talks := func(text string, until time.Duration) (lived time.Duration) {
				conn := dialServer(t, network, s)
				reader, began := bufio.NewReader(conn), time.Now()
				for ; time.Since(began) < until; time.Sleep(50 * time.Millisecond) {
					if _, err := io.WriteString(conn, text); err != nil {
						return time.Since(began)
					}
					if _, err := reader.ReadString('\n'); err != nil {
						return time.Since(began)
					}
				}
				return until
			}
			if lived := talks(stranger, patience/2); lived >= patience/2 {
				t.Error("a stranger's stream does not end")
			}
			if got := s.Counts().Refused; got != (Refusals{Late: 1}) {
				t.Errorf("counted as %+v", got)
			}
			for _, text := range []string{sound, call} {
				if lived := talks(text, 2*time.Second); lived < 2*time.Second {
					t.Errorf("a peer's stream has ended after %v", lived)
				}
			}
		})
	}
}

// A silent stream stays open as long as something is bound over it.
func TestASilentStreamWithoutBindingsEnds(t *testing.T) {
	for _, network := range []string{"tcp", "tls", "ws", "wss"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			s := listenOn(t, network)
			s.times.look = 100 * time.Millisecond
			asked := make(chan uint64, 1000)
			var ended atomic.Bool
			s.Bound = func(stream uint64) bool { asked <- stream; return !ended.Load() }
			p := newProving()
			s.Serve(p, nothing)
			conn := dialServer(t, network, s)
			flow := p.flow(t, conn)
			reader := bufio.NewReader(conn)
			readLine(t, reader)
			for range 3 {
				if stream := <-asked; stream != flow.Stream {
					t.Fatalf("asked of %d, not of %d", stream, flow.Stream)
				}
			}
			write(t, conn, sound)
			readLine(t, reader)
			ended.Store(true)
			if _, err := reader.ReadByte(); err == nil {
				t.Error("it is open")
			}
		})
	}
}

// A ping is no message: whoever sends one is not taken for having begun one.
func TestAPingOfAWebSocketKeepsItOpen(t *testing.T) {
	s := listenOn(t, "ws")
	s.times.look = 200 * time.Millisecond
	s.Bound = func(uint64) bool { return true }
	s.Serve(newProving(), nothing)
	var below net.Conn
	socket := openWebSocket(t, s, &below)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 2 {
		if err := socket.Write(ctx, websocket.MessageText, []byte(sound)); err != nil {
			t.Fatal(err)
		}
		readFrame(t, socket)
		go func() { _ = socket.Ping(ctx) }()
		time.Sleep(5 * s.times.look)
	}
}
