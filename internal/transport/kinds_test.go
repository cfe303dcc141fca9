package transport

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sipregd/internal/message"
)

// transports are all, as [listen] names them.
var transports = []string{"udp", "tcp", "tls", "ws", "wss"}

// listenOn returns a server on one free port, by one transport.
func listenOn(t testing.TB, network string) *Server {
	t.Helper()
	local := []string{"127.0.0.1:0"}
	addresses := map[string]Addresses{"udp": {UDP: local}, "tcp": {TCP: local}, "tls": {TLS: local}, "ws": {WS: local}, "wss": {WSS: local}}
	s, err := Listen(addresses[network], NewCertificate(newPair(t, "one")), time.Hour, func(err error) { t.Log("trouble:", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// newPair makes a certificate that signs itself.
func newPair(t testing.TB, name string) *Pair {
	t.Helper()
	certificate, key := writePair(t, name, time.Now().Add(time.Hour*24*365))
	pair, err := ReadPair(certificate, key, "")
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func writePair(t testing.TB, name string, expires time.Time) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: expires.Add(-2 * 365 * 24 * time.Hour), NotAfter: expires}
	chain, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	certificate, key = filepath.Join(directory, "chain.pem"), filepath.Join(directory, "key.pem")
	for path, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: chain}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

func dialTLS(t testing.TB, s *Server) *tls.Conn {
	t.Helper()
	conn := tls.Client(dial(t, "tcp", s.listeners[0].Addr().String()), &tls.Config{InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn
}

// framed is a WebSocket as a connection: each write is a frame, and frames are read
// one behind the other.
type framed struct {
	net.Conn
	below net.Conn
}

func (f framed) LocalAddr() net.Addr { return f.below.LocalAddr() }

// dialWebSocket opens one, with TLS where the server has it.
func dialWebSocket(t testing.TB, s *Server) framed {
	t.Helper()
	var below net.Conn
	socket := openWebSocket(t, s, &below)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return framed{websocket.NetConn(ctx, socket, websocket.MessageText), below}
}

func openWebSocket(t testing.TB, s *Server, below *net.Conn) *websocket.Conn {
	t.Helper()
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
			*below = dial(t, network, address)
			return *below, nil
		},
	}}
	l := s.listeners[0]
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	socket, _, err := websocket.Dial(ctx, fmt.Sprintf("%s://%v", strings.ToLower(l.transport), l.Addr()),
		&websocket.DialOptions{HTTPClient: &client, Subprotocols: []string{"sip"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.CloseNow() })
	return socket
}

func readFrame(t *testing.T, socket *websocket.Conn) (websocket.MessageType, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	kind, data, err := socket.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return kind, string(data)
}

func TestEachTransportAnswersByTheWayThatItCame(t *testing.T) {
	for _, network := range transports {
		t.Run(network, func(t *testing.T) {
			s := listenOn(t, network)
			if got := s.Addresses(); len(got) != 1 || !strings.HasPrefix(got[0], network+" 127.0.0.1:") {
				t.Errorf("listens on %q", got)
			}
			s.Serve(&echo{}, nothing)
			conn := dialServer(t, network, s)
			reader := bufio.NewReader(conn)
			for range 3 {
				write(t, conn, sound)
				want := fmt.Sprintf("%s %v 127.0.0.1 A sip:r SIP/2.0", strings.ToUpper(network), conn.LocalAddr())
				if line := readLine(t, reader); line != want {
					t.Errorf("got %q, want %q", line, want)
				}
			}
		})
	}
}

func TestTLSCutsMessagesAnywhere(t *testing.T) {
	s := listenOn(t, "tls")
	s.Serve(&echo{}, nothing)
	conn := dialTLS(t, s)
	for _, piece := range strings.SplitAfter("\r\n\r\n"+sound+sound, "S") {
		write(t, conn, piece)
	}
	reader := bufio.NewReader(conn)
	if line := readLine(t, reader); line != "\r" {
		t.Errorf("to a keepalive %q", line)
	}
	for range 2 {
		if line := readLine(t, reader); !strings.HasPrefix(line, "TLS ") {
			t.Errorf("got %q", line)
		}
	}
}

func TestTLSAnswersWhatCannotBeFramedAndEnds(t *testing.T) {
	s := listenOn(t, "tls")
	s.Serve(&echo{}, nothing)
	conn := dialTLS(t, s)
	write(t, conn, "A sip:a SIP/2.0\r\nX: y\r\n\r\n")
	if got, err := io.ReadAll(conn); err != nil || string(got) != "refused: Missing Content-Length\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestTLSIsNoOlderThan1_2(t *testing.T) {
	s := listenOn(t, "tls")
	s.Serve(&echo{}, nothing)
	for version, taken := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn := tls.Client(dial(t, "tcp", s.listeners[0].Addr().String()),
			&tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		if err := conn.Handshake(); (err == nil) != taken {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
}

// Whoever says nothing holds up nobody.
func TestTLSHandshakeHoldsUpNobody(t *testing.T) {
	for _, network := range []string{"tls", "ws", "wss"} {
		t.Run(network, func(t *testing.T) {
			s := listenOn(t, network)
			s.Serve(&echo{}, nothing)
			for range 3 {
				dial(t, "tcp", s.listeners[0].Addr().String())
			}
			conn := dialServer(t, network, s)
			write(t, conn, sound)
			readLine(t, bufio.NewReader(conn))
			if got := s.Counts(); got.Streams != 4 {
				t.Errorf("%d streams are counted, there are 4", got.Streams)
			}
		})
	}
}

func TestTroubleIsToldOfWhatIsNoTLS(t *testing.T) {
	told := make(chan error, 10)
	s, err := Listen(Addresses{TLS: []string{"127.0.0.1:0"}}, NewCertificate(newPair(t, "one")), time.Hour, func(err error) { told <- err })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Serve(&echo{}, nothing)
	dial(t, "tcp", s.listeners[0].Addr().String()).Close() // a check whether the port is open
	conn := dial(t, "tcp", s.listeners[0].Addr().String())
	write(t, conn, sound)
	_, _ = io.Copy(io.Discard, conn)
	s.Close()
	close(told)
	var got []string
	for err := range told {
		got = append(got, err.Error())
	}
	want := fmt.Sprintf("no TLS with %v: tls: first record does not look like a TLS handshake", conn.LocalAddr())
	if len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestACertificateIsReplacedWhileStreamsLive(t *testing.T) {
	first, second := newPair(t, "one"), newPair(t, "two")
	certificate := NewCertificate(first)
	s, err := Listen(Addresses{TLS: []string{"127.0.0.1:0"}}, certificate, time.Hour, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Serve(&echo{}, nothing)
	name := func(conn *tls.Conn) string { return conn.ConnectionState().PeerCertificates[0].Subject.CommonName }
	old := dialTLS(t, s)
	for _, pair := range []*Pair{first, second} {
		if isOther, hasOthers := certificate.Compare(pair); isOther != (pair == second) || hasOthers {
			t.Error("it is not told whether a pair is another one")
		}
		certificate.Replace(pair)
	}
	if got := name(old) + name(dialTLS(t, s)); got != "onetwo" {
		t.Errorf("shown are %q", got)
	}
	write(t, old, sound)
	readLine(t, bufio.NewReader(old))
}

func TestReadPair(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	ends := func(left time.Duration) []string {
		t.Helper()
		certificate, key := writePair(t, "x", now.Add(left))
		pair, err := ReadPair(certificate, key, "")
		if err != nil {
			t.Fatal(err)
		}
		return pair.Warnings(now)
	}
	for left, want := range map[time.Duration]string{
		15 * day: "", 13 * day: "it expires on ", -day: "it has expired on ", 3 * 365 * day: "it does not hold before ",
	} {
		if got := strings.Join(ends(left), "; "); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%v before the end: %q", left, got)
		}
	}
	certificate, key := writePair(t, "x", now)
	_, other := writePair(t, "y", now)
	for name, test := range map[string]struct{ certificate, key, want string }{
		"key of another":    {certificate, other, "private key does not match public key; write the paths of a chain"},
		"no such file":      {certificate, key + "x", "no such file or directory; write the paths of the files that are there"},
		"key for the chain": {key, key, "write the paths of a chain, the server's own certificate first"},
	} {
		if _, err := ReadPair(test.certificate, test.key, ""); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// RFC 7118 §4.1: the subprotocol is sip; and what is no WebSocket at all.
func TestWebSocketHandshakes(t *testing.T) {
	const upgrade = "GET /any/path HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	tests := []struct {
		name, request, want string
	}{
		{"sip", upgrade + "Sec-WebSocket-Protocol: sip\r\n\r\n", "HTTP/1.1 101 "},
		{"sip among others, from a page elsewhere", upgrade + "Origin: https://elsewhere.example\r\nSec-WebSocket-Protocol: xmpp, SIP\r\n\r\n", "HTTP/1.1 101 "},
		{"no subprotocol", upgrade + "\r\n", "HTTP/1.1 400 "},
		{"another subprotocol", upgrade + "Sec-WebSocket-Protocol: xmpp\r\n\r\n", "HTTP/1.1 400 "},
		{"no upgrade", "GET / HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Protocol: sip\r\n\r\n", "HTTP/1.1 426 "},
		{"old version", strings.Replace(upgrade, "13", "8", 1) + "Sec-WebSocket-Protocol: sip\r\n\r\n", "HTTP/1.1 400 "},
		{"SIP", sound, "HTTP/1.1 400 "},
		{"header without end", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", maxHandshake), "HTTP/1.1 400 "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := listenOn(t, "ws")
			s.Serve(&echo{}, nothing)
			conn := dial(t, "tcp", s.listeners[0].Addr().String())
			write(t, conn, test.request)
			reader := bufio.NewReader(conn)
			line := readLine(t, reader)
			if !strings.HasPrefix(line, test.want) {
				t.Errorf("got %q, want %q", line, test.want)
			}
			if test.want == "HTTP/1.1 101 " {
				return
			}
			if _, err := io.Copy(io.Discard, reader); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection does not end")
			}
		})
	}
}

// RFC 7118 §5: a frame is a message, and needs no Content-Length.
func TestWebSocketFrames(t *testing.T) {
	const bare = "A sip:r SIP/2.0\r\n\r\n"
	tests := []struct {
		name string
		kind websocket.MessageType
		send string
		want string // what the answer has; empty: none
	}{
		{"text", websocket.MessageText, bare, "A sip:r SIP/2.0"},
		{"binary", websocket.MessageBinary, bare, "A sip:r SIP/2.0"},
		{"line ends before", websocket.MessageText, "\r\n" + bare, "A sip:r SIP/2.0"},
		{"as large as may be", websocket.MessageText, bare + strings.Repeat("x", message.MaxMessage-len(bare)), "A sip:r SIP/2.0"},
		{"keepalive", websocket.MessageText, "\r\n\r\n", "\r\n"},
		{"pong", websocket.MessageText, "\r\n", ""},
		{"empty", websocket.MessageText, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := listenOn(t, "ws")
			s.Serve(&echo{}, nothing)
			var below net.Conn
			socket := openWebSocket(t, s, &below)
			writeTo(t, socket, test.kind, test.send)
			if test.want != "" {
				if kind, got := readFrame(t, socket); kind != test.kind || !strings.Contains(got, test.want) {
					t.Errorf("got %v %q", kind, got)
				}
			}
			writeTo(t, socket, test.kind, bare) // it lives on
			if _, got := readFrame(t, socket); !strings.Contains(got, "A sip:r") {
				t.Errorf("then got %q", got)
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			ended := socket.CloseRead(ctx)
			if err := socket.Ping(ctx); err != nil || ended.Err() != nil {
				t.Errorf("a ping is not answered: %v", err)
			}
		})
	}
}

// Frames as no library writes them, on a WebSocket that was opened by hand. Each ends it
// or is left alone, and others are served as before.
func TestAdvisoriesOfWebSockets(t *testing.T) {
	const opening = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
	const mask = "\x00\x00\x00\x00"
	message := "A sip:r SIP/2.0\r\n\r\n"
	whole := "\x81" + string([]byte{0x80 | byte(len(message))}) + mask + message
	tests := []struct {
		name, frames string
		lives        bool // what is sent behind is answered
	}{
		{"CVE-2018-7287, Asterisk: frames without a payload", strings.Repeat("\x81\x80"+mask, 1000), true},
		{"CVE-2018-7287, Asterisk: fragments without a payload", "\x01\x80" + mask + strings.Repeat("\x00\x80"+mask, 1000) + "\x80\x80" + mask, true},
		{"class: pings without an end", strings.Repeat("\x89\x80"+mask, 1000), true},
		{"class: pongs that nobody asked for", strings.Repeat("\x8a\x80"+mask, 1000), true},
		{"class: a length of 2**63-1", "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff" + mask + strings.Repeat("x", 70000), false},
		{"class: a negative length", "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff" + mask, false},
		{"class: no mask", "\x81" + string([]byte{byte(len(message))}) + message, false},
		{"class: reserved bits", "\xf1\x80" + mask, false},
		{"class: an opcode that does not exist", "\x83\x80" + mask, false},
		{"class: a ping in fragments", "\x09\x80" + mask, false},
		{"class: a ping over 125 bytes", "\x89\xfe\x00\x7e" + mask + strings.Repeat("x", 126), false},
		{"class: a fragment of nothing", "\x80\x80" + mask, false},
		{"class: a message within another", "\x01\x80" + mask + whole, false},
		{"class: fragments of more than a message may have", "\x01\x80" + mask + strings.Repeat("\x00\xfe\xff\xff"+mask+strings.Repeat("x", 65535), 2), false},
	}
	s := listenOn(t, "ws")
	s.Serve(&echo{}, nothing)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn := dial(t, "tcp", s.listeners[0].Addr().String())
			write(t, conn, opening)
			reader := bufio.NewReader(conn)
			for line := ""; line != "\r"; {
				line = readLine(t, reader)
			}
			go func() { _, _ = io.WriteString(conn, test.frames+whole) }() // the server may read no more
			text, err := readUntil(reader, "A sip:r")
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("neither an answer nor an end")
			}
			if lives := strings.Contains(text, "A sip:r"); lives != test.lives {
				t.Errorf("lives: %v, read %q", lives, text)
			}
			other := dialWebSocket(t, s)
			write(t, other, message)
			if text, err := readUntil(other, "A sip:r"); err != nil {
				t.Errorf("another one is not served: %q, %v", text, err)
			}
		})
	}
}

// readUntil reads up to a text, or to the end.
func readUntil(from io.Reader, want string) (text string, err error) {
	for one := make([]byte, 1); !strings.Contains(text, want); text += string(one) {
		if _, err := from.Read(one); err != nil {
			return text, err
		}
	}
	return text, nil
}

func TestWebSocketEnds(t *testing.T) {
	tests := []struct {
		name, send string
		want       websocket.StatusCode
	}{
		{"no SIP", "hello\n", websocket.StatusUnsupportedData},
		{"control characters", "\x16\x03\x01", websocket.StatusUnsupportedData},
		{"too large", strings.Repeat("x", message.MaxMessage+1), websocket.StatusMessageTooBig},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := listenOn(t, "ws")
			s.Serve(&echo{}, nothing)
			var below net.Conn
			socket := openWebSocket(t, s, &below)
			writeTo(t, socket, websocket.MessageText, test.send)
			checkEnd(t, socket, test.want)
		})
	}
}

func TestWebSocketIsToldThatTheServerCloses(t *testing.T) {
	s := listenOn(t, "wss")
	s.Serve(&echo{}, nothing)
	var below net.Conn
	socket := openWebSocket(t, s, &below)
	writeTo(t, socket, websocket.MessageText, sound)
	readFrame(t, socket)
	closed := make(chan struct{})
	go func() { s.Close(); close(closed) }()
	checkEnd(t, socket, websocket.StatusGoingAway)
	receive(t, closed, "the server did not close")
}

func writeTo(t *testing.T, socket *websocket.Conn, kind websocket.MessageType, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := socket.Write(ctx, kind, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func checkEnd(t *testing.T, socket *websocket.Conn, want websocket.StatusCode) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, _, err := socket.Read(ctx); websocket.CloseStatus(err) != want {
		t.Errorf("ended with %v, want %v", err, want)
	}
}
