package transport

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

const soundHandshake = "GET / HTTP/1.1\r\nHost: r\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n"

// recording is a connection on which all has come, and that keeps what is written.
type recording struct {
	io.Reader
	written bytes.Buffer
}

func (r *recording) Write(data []byte) (int, error)   { return r.written.Write(data) }
func (r *recording) Close() error                     { return nil }
func (r *recording) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (r *recording) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (r *recording) SetDeadline(time.Time) error      { return nil }
func (r *recording) SetReadDeadline(time.Time) error  { return nil }
func (r *recording) SetWriteDeadline(time.Time) error { return nil }

// FuzzHandshake begins WebSockets with arbitrary bytes: one begins, for SIP, or there is an
// answer that ends the connection. No line of it comes from what was sent.
func FuzzHandshake(f *testing.F) {
	f.Add([]byte(soundHandshake))
	f.Add([]byte(strings.Replace(soundHandshake, "sip\r\n", "chat, SIP\r\nOrigin: https://r\r\nSec-WebSocket-Extensions: permessage-deflate\r\n", 1)))
	f.Add([]byte(strings.Replace(soundHandshake, "GET", "POST", 1)))
	f.Add([]byte("GET / HTTP/1.0\r\n\r\n"))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\nUpgrade: a\x00b\r\n\r\nff\r\n"))
	f.Add([]byte("REGISTER sip:r SIP/2.0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		conn := &recording{Reader: bytes.NewReader(data)}
		socket, frames, _ := upgrade(conn)
		head, _, whole := strings.Cut(conn.written.String(), "\r\n\r\n")
		status, fields, _ := strings.Cut(head, "\r\n")
		begun := strings.HasPrefix(status, "HTTP/1.1 101 ")
		if !whole || !strings.HasPrefix(status, "HTTP/1.1 ") || begun != (socket != nil) || begun != (frames != nil) {
			t.Fatalf("answered %q, a socket: %v", conn.written.String(), socket != nil)
		}
		if socket != nil && !strings.EqualFold(socket.Subprotocol(), subprotocol) {
			t.Errorf("the subprotocol is %q", socket.Subprotocol())
		}
		for line := range strings.SplitSeq(fields, "\r\n") {
			if name, _, found := strings.Cut(line, ": "); !found || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-") != "" || strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("no header field: %q", line)
			}
		}
	})
}

// FuzzFrames passes arbitrary bytes as frames: each message that comes of them is no larger
// than it may be, and what is handled of it looks like SIP.
func FuzzFrames(f *testing.F) {
	for _, seed := range [][]byte{
		frame(0x81, sound), frame(0x82, "\r\n\r\n"), frame(0x89, "ping"), frame(0x88, "\x03\xe8"),
		append(frame(0x01, sound[:10]), frame(0x80, sound[10:])...), frame(0x81, sound+sound), frame(0xc1, sound),
		{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, {0x81, 0x05, 'h', 'e', 'l', 'l', 'o'},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		conn := &recording{Reader: io.MultiReader(strings.NewReader(soundHandshake), bytes.NewReader(data))}
		socket, _, _ := upgrade(conn)
		if socket == nil {
			t.Fatal("no WebSocket")
		}
		defer func() { _ = socket.CloseNow() }()
		socket.SetReadLimit(message.MaxMessage)
		st := &stream{handler: looking{t}, store: nothing, all: new(streams)}
		for {
			_, data, err := socket.Read(context.Background())
			if err != nil {
				return
			}
			if _, ok := st.answerFrame(data); !ok {
				return
			}
		}
	})
}

// looking is a handler that looks at what it is given.
type looking struct{ t *testing.T }

func (l looking) Receive(_, data []byte, _ message.Flow, _ time.Time) (reply transaction.Reply) {
	if len(data) > message.MaxMessage || !message.MayBeSIP(data) {
		l.t.Errorf("handled is %.100q, %d bytes", data, len(data))
	}
	return reply
}

func (looking) Refuse([]byte, message.Flow, *message.Error) (reply transaction.Reply) { return reply }

func (looking) NotStored([]byte, message.Flow, time.Time) (reply transaction.Reply) { return reply }

// frame makes a frame of a client's (RFC 6455 §5.2), shorter than 64 KB.
func frame(head byte, text string) []byte {
	data := []byte{head, 0x80 | byte(len(text))}
	if len(text) > 125 {
		data = []byte{head, 0x80 | 126, byte(len(text) >> 8), byte(len(text))}
	}
	return append(append(data, 0, 0, 0, 0), text...) // masked by nothing
}
