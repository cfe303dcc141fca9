package transport

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

// patience is how long a test waits for what has to happen.
const patience = 10 * time.Second

// echo answers each message with the flow it came by and its first line.
type echo struct{ received atomic.Int64 }

func (e *echo) Receive(room, data []byte, flow message.Flow, _ time.Time) transaction.Reply {
	e.received.Add(1)
	line, _, _ := strings.Cut(string(data), "\r\n")
	if strings.HasPrefix(line, "END ") {
		return transaction.Reply{Ends: true}
	}
	text := fmt.Appendf(room, "%s %v %v %s\n", flow.Transport, flow.Source, flow.Local.Addr(), line)
	return transaction.Reply{Data: text, To: flow.Source}
}

func (e *echo) Refuse(_ []byte, _ message.Flow, wrong *message.Error) transaction.Reply {
	return transaction.Reply{Data: []byte("refused: " + wrong.Reason + "\n")}
}

func (e *echo) NotStored([]byte, message.Flow, time.Time) transaction.Reply {
	return transaction.Reply{Data: []byte("not stored\n")}
}

// skip leaves a test out for what this machine lacks. In CI that is a failure.
func skip(t *testing.T, lacks string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(lacks)
	}
	t.Skip("SKIPPED: " + lacks)
}

// nothing is a store in which nothing has to be made to last.
var nothing = location.NewMemory(time.Now())

func serve(t *testing.T, udp, tcp []string) (*Server, *echo) {
	t.Helper()
	s, e := listen(t, udp, tcp), &echo{}
	s.Serve(e, nothing)
	return s, e
}

func listen(t *testing.T, udp, tcp []string) *Server {
	t.Helper()
	s, err := Listen(Addresses{UDP: udp, TCP: tcp}, nil, time.Hour, func(err error) { t.Log("trouble:", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func dial(t testing.TB, network, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func write(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func readLine(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n")
}

func TestUDPAnswersEachDatagram(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		t.Run(host, func(t *testing.T) {
			if probe, err := net.ListenPacket("udp", host+":0"); err != nil {
				skip(t, "this machine has no "+host)
			} else {
				probe.Close()
			}
			s, _ := serve(t, []string{host + ":0"}, nil)
			conn := dial(t, "udp", s.readers[0].local.String())
			buffer := make([]byte, 1000)
			for i := range 100 {
				write(t, conn, fmt.Sprintf("number %d\r\n", i))
				n, err := conn.Read(buffer)
				want := fmt.Sprintf("UDP %v %s number %d\n", conn.LocalAddr(), strings.Trim(host, "[]"), i)
				if err != nil || string(buffer[:n]) != want {
					t.Fatalf("got %q, %v, want %q", buffer[:n], err, want)
				}
			}
		})
	}
}

// RFC 3581 §4: a phone behind a NAT or a firewall takes an answer from the
// address that it asked only.
func TestUDPAnswersFromTheAddressThatWasAsked(t *testing.T) {
	s, _ := serve(t, []string{":0"}, nil)
	port := s.readers[0].local.Port()
	conn := dial(t, "udp", fmt.Sprintf("127.0.0.2:%d", port)) // connected: takes no other answer
	write(t, conn, "hello\r\n")
	buffer := make([]byte, 1000)
	n, err := conn.Read(buffer)
	if err != nil || !strings.Contains(string(buffer[:n]), " 127.0.0.2 hello") {
		t.Fatalf("got %q, %v", buffer[:n], err)
	}
}

const sound = "A sip:r SIP/2.0\r\nContent-Length: 2\r\n\r\nhi"

func TestTCPFraming(t *testing.T) {
	tests := []struct {
		name    string
		pieces  []string
		answers []string // "*" for a message's answer
		closed  bool
	}{
		{"one", []string{sound}, []string{"*"}, false},
		{"three in a segment", []string{sound + sound + sound}, []string{"*", "*", "*"}, false},
		{"one byte at a time", strings.Split(sound+sound, ""), []string{"*", "*"}, false},
		{"ping", []string{"\r\n\r\n"}, []string{"\r"}, false},
		{"ping in two", []string{"\r\n", "\r\n"}, []string{"\r"}, false},
		{"ping before a message", []string{"\r\n\r\n" + sound}, []string{"\r", "*"}, false},
		{"line end before a message", []string{"\r\n" + sound}, []string{"*"}, false},
		{"no length", []string{"A sip:r SIP/2.0\r\n\r\n"}, []string{"refused: Missing Content-Length"}, true},
		{"message, then no length", []string{sound + "A sip:r SIP/2.0\r\n\r\n"}, []string{"*", "refused: Missing Content-Length"}, true},
		{"other protocol", []string{"GET / HTTP/1.1\r\n"}, nil, true},
		{"noise", []string{"\x16\x03\x01\x00"}, nil, true},
	}
	s, _ := serve(t, nil, []string{"127.0.0.1:0"})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn := dial(t, "tcp", s.listeners[0].Addr().String())
			for _, piece := range test.pieces {
				write(t, conn, piece)
			}
			if !test.closed { // another message shows that the stream goes on
				write(t, conn, sound)
				test.answers = append(test.answers, "*")
			}
			r := bufio.NewReader(conn)
			for _, want := range test.answers {
				if want == "*" {
					want = fmt.Sprintf("TCP %v 127.0.0.1 A sip:r SIP/2.0", conn.LocalAddr())
				}
				if got := readLine(t, r); got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
			if test.closed {
				if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
					t.Errorf("then %q, %v", rest, err)
				}
			}
		})
	}
}

// What came before is answered, and nothing that comes after is read.
func TestAStreamEndsByAReply(t *testing.T) {
	s, e := serve(t, nil, []string{"127.0.0.1:0"})
	conn := dialServer(t, "tcp", s)
	write(t, conn, sound+"END sip:r SIP/2.0\r\nContent-Length: 0\r\n\r\n"+sound)
	text, err := io.ReadAll(conn)
	if err != nil || strings.Count(string(text), "\n") != 1 || e.received.Load() != 2 {
		t.Errorf("got %q, %v, after %d messages", text, err, e.received.Load())
	}
}

func TestAStreamBeyondTheBoundIsClosed(t *testing.T) {
	s := listen(t, nil, []string{"127.0.0.1:0"})
	s.streams.limits.Streams = 1
	s.Serve(newProving(), nothing)
	first := dial(t, "tcp", s.listeners[0].Addr().String())
	write(t, first, sound)
	readLine(t, bufio.NewReader(first))
	second := dial(t, "tcp", s.listeners[0].Addr().String())
	if n, err := second.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read %d, %v", n, err)
	}
	first.Close()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // until the first is gone
		third := dial(t, "tcp", s.listeners[0].Addr().String())
		_, _ = io.WriteString(third, sound)
		if _, err := third.Read(make([]byte, 1)); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no room again")
		}
	}
}

func TestCloseEndsEverything(t *testing.T) {
	s, _ := serve(t, []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"})
	conn := dial(t, "tcp", s.listeners[0].Addr().String())
	write(t, conn, sound)
	readLine(t, bufio.NewReader(conn))
	s.Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the stream is open")
	}
}

func TestAnAddressIsNotShared(t *testing.T) {
	s, _ := serve(t, []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"})
	for network, address := range map[string]string{
		"udp": s.readers[0].local.String(), "tcp": s.listeners[0].Addr().String(),
	} {
		lists := map[string][]string{network: {address}}
		_, err := Listen(Addresses{UDP: lists["udp"], TCP: lists["tcp"]}, nil, time.Hour, func(error) {})
		if err == nil || !strings.Contains(err.Error(), "another sipregd") || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v", network, err)
		}
	}
}

func TestAddressesThatCannotBe(t *testing.T) {
	for _, address := range []string{"192.0.2.1:5060", "127.0.0.1", "nonsense.invalid:5060"} {
		if s, err := Listen(Addresses{UDP: []string{address}}, nil, time.Hour, func(error) {}); err == nil {
			s.Close()
			t.Errorf("%s is listened on", address)
		}
	}
}

func TestUnmap(t *testing.T) {
	mapped := netip.MustParseAddrPort("[::ffff:192.0.2.1]:5060")
	if got := unmap(mapped).String(); got != "192.0.2.1:5060" {
		t.Error(got)
	}
}
