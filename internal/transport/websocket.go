package transport

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/coder/websocket"

	"sipregd/internal/message"
)

const (
	subprotocol = "sip" // RFC 7118 §4.1

	maxHandshake = 16384 // bytes of the HTTP request of a WebSocket

	// Bytes of its buffers, which frames have then. What is longer is read past the one;
	// it goes out in two pieces by the other.
	readFrameSize  = 256
	writeFrameSize = 768
)

// upgrade begins a WebSocket (RFC 7118), and tells whether it has begun.
func (s *stream) upgrade() bool {
	socket, frames, foreign := upgrade(s.top)
	if foreign { // a browser shows a certificate for any page
		s.flow.Certificate = nil
	}
	if socket != nil {
		socket.SetReadLimit(message.MaxMessage)
	}
	s.socket, s.frames = socket, frames
	return socket != nil
}

// serveFrames answers each message, which is one frame or several fragments of one
// (RFC 7118 §5). The library answers pings.
func (s *stream) serveFrames() {
	defer s.socket.CloseNow()
	for s.awaitFrame() && s.awaitMessage() {
		kind, data, err := s.socket.Read(context.Background())
		if err != nil {
			break
		}
		answer, ok := s.answerFrame(data)
		if !ok {
			s.shut()
			_ = s.socket.Close(websocket.StatusUnsupportedData, "no SIP")
			return
		}
		if len(answer) > 0 && !s.writeIn(kind, answer) || !s.await(false) {
			return
		}
	}
	if s.shut(); s.closing.Load() {
		_ = s.socket.Close(websocket.StatusGoingAway, "")
	}
}

// awaitFrame waits in the poller itself until a frame begins, so that the stack is small,
// and tells whether one has.
func (s *stream) awaitFrame() bool {
	err := error(syscall.EAGAIN)
	look := func(fd uintptr) (over bool) {
		s.lend(fd)
		_, err = s.frames.Peek(1)
		s.takeBack()
		return err != syscall.EAGAIN
	}
	for s.raw.Read(look) != nil && s.staysSilent() {
	}
	if err == syscall.EAGAIN && s.closing.Load() {
		_ = s.raw.Control(func(fd uintptr) { look(fd) }) // what has come since
	}
	return err == nil
}

// awaitMessage says by when a message has to come whose first frame has begun: that frame
// may be a ping, which is no message.
func (s *stream) awaitMessage() bool {
	return !s.proved || s.setDeadline(s.silent)
}

// answerFrame returns what goes back for a message, and whether it was one.
func (s *stream) answerFrame(data []byte) (answer []byte, ok bool) {
	data, pings := skipKeepalives(data)
	switch {
	case len(bytes.Trim(data, "\r\n")) == 0: // keepalives (RFC 5626 §3.5.1) alone
		s.handled = false
		s.all.pings.Add(uint64(min(pings, 1)))
		return pong[:min(pings, 1)*len(pong)], true
	case !message.MayBeSIP(data):
		return nil, false
	}
	return s.answer(nil, [][]byte{data}), true
}

// upgrade makes a WebSocket of a connection, or answers why it does not and returns
// nil. Where a page is from (Origin) does not matter for a digest, which no browser
// sends for a page that does not have the secret. foreign: there is a page, and it is
// from elsewhere.
func upgrade(conn net.Conn) (socket *websocket.Conn, frames *bufio.Reader, foreign bool) {
	limited := &io.LimitedReader{R: conn, N: maxHandshake}
	h := &handshake{conn: conn, header: http.Header{}, buffers: bufio.NewReadWriter(
		bufio.NewReaderSize(limited, readFrameSize), bufio.NewWriterSize(conn, writeFrameSize))}
	request, err := http.ReadRequest(h.buffers.Reader)
	if err != nil {
		h.refuse("this is for WebSockets, and takes no more than 16384 bytes of HTTP")
		return nil, nil, false
	}
	limited.N = math.MaxInt64
	if !offersSIP(request) {
		h.refuse("the WebSocket subprotocol has to be sip (RFC 7118)")
		return nil, nil, false
	}
	socket, err = websocket.Accept(h, request, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol}, InsecureSkipVerify: true,
	})
	if err != nil {
		_ = h.buffers.Flush() // it has said why
		return nil, nil, false
	}
	return socket, h.buffers.Reader, isForeign(request)
}

// isForeign tells whether a page of another server asks (RFC 6454 §7): a phone that is
// no browser has none, or names the server itself.
func isForeign(request *http.Request) bool {
	return slices.ContainsFunc(request.Header.Values("Origin"), func(origin string) bool {
		page, err := url.Parse(origin)
		return err != nil || !strings.EqualFold(page.Host, request.Host)
	})
}

func offersSIP(request *http.Request) bool {
	for _, list := range request.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(name), subprotocol) {
				return true
			}
		}
	}
	return false
}

// handshake is the answer to the one HTTP request of a WebSocket.
type handshake struct {
	conn    net.Conn
	buffers *bufio.ReadWriter
	header  http.Header
}

// refuse answers 400.
func (h *handshake) refuse(reason string) {
	http.Error(h, reason, http.StatusBadRequest)
	_ = h.buffers.Flush()
}

// Header returns the header fields of the answer.
func (h *handshake) Header() http.Header { return h.header }

// WriteHeader begins the answer. The connection ends with it, where it makes no
// WebSocket.
func (h *handshake) WriteHeader(status int) {
	if status != http.StatusSwitchingProtocols {
		h.header.Add("Connection", "close")
	}
	fmt.Fprintf(h.buffers, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	_ = h.header.Write(h.buffers)
	_, _ = h.buffers.WriteString("\r\n")
}

// Write goes on with the answer.
func (h *handshake) Write(data []byte) (int, error) { return h.buffers.Write(data) }

// Hijack ends the answer and gives the connection away.
func (h *handshake) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, h.buffers, h.buffers.Flush()
}
