package transport

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

// held is an echo that answers when it is let.
type held struct {
	echo
	began, let chan struct{}
}

func (h *held) Receive(room, data []byte, flow message.Flow, now time.Time) transaction.Reply {
	h.began <- struct{}{}
	<-h.let
	return h.echo.Receive(room, data, flow, now)
}

// Whoever was registered has to hear of it, or a phone on a stream waits half a
// minute for an answer that is lost.
func TestCloseAnswersWhatHasCome(t *testing.T) {
	for _, network := range transports {
		t.Run(network, func(t *testing.T) {
			s := listenOn(t, network)
			h := &held{began: make(chan struct{}), let: make(chan struct{})}
			s.Serve(h, nothing)
			conn := dialServer(t, network, s)
			write(t, conn, sound)
			receive(t, h.began, "nothing is handled")
			write(t, conn, sound)
			closed := make(chan struct{})
			go func() { s.Close(); close(closed) }()
			waitClosed(t, s)
			select {
			case <-closed:
				t.Error("closed while a message is handled")
			default:
			}
			h.let <- struct{}{}
			receive(t, h.began, "what had come is not handled")
			h.let <- struct{}{}
			receive(t, closed, "the server did not close")
			reader := bufio.NewReader(conn)
			for range 2 {
				want := fmt.Sprintf("%s %v 127.0.0.1 A sip:r SIP/2.0", strings.ToUpper(network), conn.LocalAddr())
				if line := readLine(t, reader); line != want {
					t.Errorf("got %q, want %q", line, want)
				}
			}
		})
	}
}

// An edge proxy has many phones behind one stream, or one port.
func TestCloseAnswersAllThatHasCome(t *testing.T) {
	const count = 300 // more than a batch; the kernel keeps about 500
	for _, network := range transports {
		t.Run(network, func(t *testing.T) {
			s := listenOn(t, network)
			h := &held{began: make(chan struct{}, 1+count), let: make(chan struct{}, 1+count)}
			s.Serve(h, nothing)
			conn := dialServer(t, network, s)
			write(t, conn, sound)
			receive(t, h.began, "nothing is handled")
			for range count {
				write(t, conn, sound)
			}
			closed := make(chan struct{})
			go func() { s.Close(); close(closed) }()
			waitClosed(t, s)
			for range 1 + count {
				h.let <- struct{}{}
			}
			receive(t, closed, "the server did not close")
			if got := h.received.Load(); got != 1+count {
				t.Errorf("%d of %d were handled", got, 1+count)
			}
		})
	}
}

func dialServer(t testing.TB, network string, s *Server) net.Conn {
	t.Helper()
	switch network {
	case "udp":
		return dial(t, network, s.readers[0].local.String())
	case "tcp":
		return dial(t, network, s.listeners[0].Addr().String())
	case "tls":
		return dialTLS(t, s)
	}
	return dialWebSocket(t, s)
}

// waitClosed returns once the server takes no more streams.
func waitClosed(t *testing.T, s *Server) {
	t.Helper()
	if len(s.listeners) == 0 {
		for deadline := time.Now().Add(patience); !s.closing.Load() && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}
	for deadline := time.Now().Add(patience); len(s.listeners) > 0; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", s.listeners[0].Addr().String())
		if err != nil {
			break
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the server does not close")
		}
	}
	time.Sleep(50 * time.Millisecond) // what is done next at a close
}
