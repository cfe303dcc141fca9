package transport

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

func TestUDPAnswersABurst(t *testing.T) {
	const burst = 100
	s, _ := serve(t, []string{"127.0.0.1:0"}, nil)
	conn := dial(t, "udp", s.readers[0].local.String())
	for i := range burst {
		write(t, conn, fmt.Sprintf("number %d\r\n", i))
	}
	answered := map[string]bool{}
	buffer := make([]byte, 1000)
	for range burst {
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatalf("after %d answers: %v", len(answered), err)
		}
		answered[string(buffer[:n])] = true
	}
	if len(answered) != burst {
		t.Errorf("%d different answers to %d datagrams", len(answered), burst)
	}
}

// RFC 3581 §4 for IPv6: each address of the machine answers for itself, whoever
// asks.
func TestUDPAnswersFromTheIPv6AddressThatWasAsked(t *testing.T) {
	own := ownIPv6(t)
	s, _ := serve(t, []string{"[::]:0"}, nil)
	for _, address := range own {
		local := &net.UDPAddr{IP: net.IPv6loopback}
		conn, err := net.DialUDP("udp6", local, net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, s.readers[0].local.Port())))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		write(t, conn, "hello\r\n")
		buffer := make([]byte, 1000)
		n, err := conn.Read(buffer) // connected: takes no other answer
		if want := fmt.Sprintf(" %v hello", address); err != nil || !strings.Contains(string(buffer[:n]), want) {
			t.Errorf("%v: got %q, %v", address, buffer[:n], err)
		}
	}
}

// ownIPv6 returns the addresses of this machine, link-local ones left out.
func ownIPv6(t *testing.T) []netip.Addr {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var own []netip.Addr
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().Is6() && !prefix.Addr().IsLinkLocalUnicast() {
			own = append(own, prefix.Addr())
		}
	}
	if len(own) == 0 {
		skip(t, "this machine has no IPv6")
	}
	return own
}

func TestKeepalivesInPieces(t *testing.T) {
	tests := []struct {
		name   string
		pieces []string
		pongs  int
		rest   string // what may still become a ping
	}{
		{"a ping", []string{"\r\n\r\n"}, 1, ""},
		{"two pings", []string{"\r\n\r\n\r\n\r\n"}, 2, ""},
		{"byte by byte", []string{"\r", "\n", "\r", "\n"}, 1, ""},
		{"cut after its first line end", []string{"\r\n", "\r\n"}, 1, ""},
		{"cut before its last byte", []string{"\r\n\r", "\n"}, 1, ""},
		{"a line end alone", []string{"\r\n"}, 0, "\r\n"},
		{"one and a half", []string{"\r\n\r\n\r\n"}, 1, "\r\n"},
		{"a line end without CR", []string{"\n"}, 0, ""},
		{"a line end, then a message", []string{"\r\n", sound}, 0, ""},
		{"a ping between messages", []string{sound + "\r\n", "\r\n" + sound}, 1, ""},
		{"line ends inside a body", []string{"A sip:r SIP/2.0\r\nl: 4\r\n\r\n\r\n", "\r\n"}, 0, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var p splitter
			pongs := 0
			for _, piece := range test.pieces {
				if err := p.read(strings.NewReader(piece)); err != nil {
					t.Fatal(err)
				}
				answers, err := p.take(nil, func(answers []byte, _ [][]byte) []byte { return answers })
				if err != nil {
					t.Fatal(err)
				}
				pongs += strings.Count(string(answers), "\r\n")
			}
			if pongs != test.pongs || string(p.buffer) != test.rest || p.partial {
				t.Errorf("%d pongs, %q is left, partial %v", pongs, p.buffer, p.partial)
			}
		})
	}
}

func TestALargeStreamBufferIsLetGo(t *testing.T) {
	var p splitter
	large := "A sip:r SIP/2.0\r\nContent-Length: 60000\r\n\r\n" + strings.Repeat("x", 60000)
	messages := 0
	for r := strings.NewReader(large + large); r.Len() > 0; {
		if err := p.read(r); err != nil {
			t.Fatal(err)
		}
		if _, err := p.take(nil, func(_ []byte, list [][]byte) []byte { messages += len(list); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if messages != 2 || cap(p.buffer) > readSize {
		t.Errorf("%d messages, a buffer of %d bytes", messages, cap(p.buffer))
	}
}

// accepting is a registrar that has nothing against anything.
type accepting struct{}

func (accepting) Answer(*message.Request, time.Time) *message.Response {
	return message.NewResponse(200, "OK")
}

func (accepting) Malformed(_ *message.Request, err *message.Error) *message.Response {
	return message.NewResponse(err.Status, err.Reason)
}

func (accepting) NotStored(*message.Request) *message.Response { return nil }

func (accepting) Merged(*message.Request) *message.Response {
	return message.NewResponse(482, "Loop Detected")
}

// RFC 3261 §18.3, through the transaction layer.
func TestStreamsThatCannotBeFramed(t *testing.T) {
	const request = "OPTIONS sip:r SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:a@r>;tag=f\r\n" +
		"To: <sip:a@r>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n"
	tests := []struct {
		name   string
		stream string
		want   []string // first lines
	}{
		{"no Content-Length", request + "\r\n", []string{"SIP/2.0 400 Missing Content-Length"}},
		{"behind a sound message", request + "l: 0\r\n\r\n" + request + "\r\n", []string{"SIP/2.0 200 OK", "SIP/2.0 400 Missing Content-Length"}},
		{"with more behind", request + "\r\n" + strings.Repeat("x", 50_000), []string{"SIP/2.0 400 Missing Content-Length"}},
		{"two Content-Lengths", request + "l: 0\r\nl: 0\r\n", []string{"SIP/2.0 400 Content-Length Given Twice"}},
		{"too large", request + "l: 65536\r\n\r\n", []string{"SIP/2.0 513 Message Over 65535 Bytes"}},
		{"header section too large", request + strings.Repeat("X: "+strings.Repeat("y", 4000)+"\r\n", 5), []string{"SIP/2.0 513 Header Section Over 16384 Bytes"}},
		{"control character", request + "X: \x00", []string{"SIP/2.0 400 Control Character In Header Section"}},
		{"response", "SIP/2.0 200 OK\r\n\r\n", nil},
		{"ACK", strings.ReplaceAll(request, "OPTIONS", "ACK") + "\r\n", nil},
		{"HTTP", "GET / HTTP/1.1\r\nHost: r\r\n\r\n", nil},
		{"TLS", "\x16\x03\x01\x02\x00\x01", nil},
	}
	s, err := Listen(Addresses{TCP: []string{"127.0.0.1:0"}}, nil, time.Hour, func(err error) { t.Log(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Serve(transaction.NewLayer(accepting{}, 64<<20), nothing)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn := dial(t, "tcp", s.listeners[0].Addr().String())
			write(t, conn, test.stream)
			answers, err := io.ReadAll(conn) // until the server closes
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for answer := range strings.SplitAfterSeq(string(answers), "\r\n\r\n") {
				if line, _, found := strings.Cut(answer, "\r\n"); found {
					got = append(got, line)
				}
			}
			if strings.Join(got, "|") != strings.Join(test.want, "|") {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A phone that sends its last message and the end of the stream in one segment is
// answered, and the stream ends.
func TestTheEndThatComesWithAMessage(t *testing.T) {
	s, _ := serve(t, nil, []string{"127.0.0.1:0"})
	for range 20 {
		conn := dial(t, "tcp", s.listeners[0].Addr().String()).(*net.TCPConn)
		raw, err := conn.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1) })
		if err != nil {
			t.Fatal(err)
		}
		write(t, conn, sound)
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answers, err := io.ReadAll(conn)
		if err != nil || strings.Count(string(answers), "\n") != 1 {
			t.Fatalf("%q, %v", answers, err)
		}
	}
}

func receive(t *testing.T, c <-chan struct{}, otherwise string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal(otherwise)
	}
}

// A server that could not open everything keeps nothing.
func TestListenThatFailsLeavesNothingOpen(t *testing.T) {
	taken := listen(t, nil, []string{"127.0.0.1:0"})
	before := openFiles(t)
	tcp := []string{"127.0.0.1:0", taken.listeners[0].Addr().String()}
	if _, err := Listen(Addresses{UDP: []string{"127.0.0.1:0"}, TCP: tcp}, nil, time.Hour, func(error) {}); err == nil {
		t.Fatal("an address is shared")
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d open files, before %d", after, before)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// read takes what there is to read of something else than a socket.
func (p *splitter) read(r io.Reader) error {
	n, err := r.Read(p.room())
	p.buffer = p.buffer[:len(p.buffer)+n]
	if n > 0 {
		return nil
	}
	return err
}
