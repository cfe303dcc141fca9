package transport

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"sipregd/internal/message"
	"sipregd/internal/transaction"

	"golang.org/x/sys/unix"
)

// A phone that vanished is noticed within two minutes.
func TestTheKernelNoticesDeath(t *testing.T) {
	for _, network := range []string{"tcp", "tls", "ws", "wss"} {
		s := listenOn(t, network)
		s.Serve(&echo{}, nothing)
		conn := dialServer(t, network, s)
		write(t, conn, sound)
		readLine(t, bufio.NewReader(conn))
		get := func(level, option int) (value int) {
			s.streams.mu.Lock()
			defer s.streams.mu.Unlock()
			for _, stream := range s.streams.open {
				raw, err := stream.conn.SyscallConn()
				if err != nil {
					t.Fatal(err)
				}
				_ = raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), level, option) })
				if err != nil {
					t.Fatal(err)
				}
			}
			return value
		}
		idle, gap, count := get(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), get(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL), get(unix.IPPROTO_TCP, unix.TCP_KEEPCNT)
		if get(unix.SOL_SOCKET, unix.SO_KEEPALIVE) != 1 || idle == 0 || idle+gap*count > 120 {
			t.Errorf("%s: a probe after %d s, then %d each %d s", network, idle, count, gap)
		}
		if limit := get(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); limit == 0 || limit > 120_000 {
			t.Errorf("%s: what is sent may wait %d ms", network, limit)
		}
	}
}

// stalling is a handler that answers nothing, and takes its time for what it says has
// come.
type stalling struct {
	echo
	come, goOn chan struct{}
}

func (h *stalling) Receive([]byte, []byte, message.Flow, time.Time) transaction.Reply {
	h.come <- struct{}{}
	<-h.goOn
	return transaction.Reply{}
}

// below returns the connection of TCP that carries a stream.
func below(conn net.Conn) net.Conn {
	switch conn := conn.(type) {
	case *tls.Conn:
		return conn.NetConn()
	case framed:
		return conn.below
	}
	return conn
}

func halfARequest(conn net.Conn) error {
	_, err := io.WriteString(conn, "A sip:")
	return err
}

// A reset is noticed though it came before the server read what the phone had sent last,
// and has nothing to answer to that.
func TestAResetBehindBytesIsNoticed(t *testing.T) {
	for network, sendsLast := range map[string]func(conn net.Conn) error{
		"tcp": halfARequest, "tls": halfARequest,
		"wss": func(conn net.Conn) error { // half a record of TLS
			_, err := io.WriteString(below(conn), "\x17\x03")
			return err
		},
	} {
		t.Run(network, func(t *testing.T) {
			h := &stalling{come: make(chan struct{}), goOn: make(chan struct{})}
			s := listenOn(t, network)
			s.Serve(h, nothing)
			conn := dialServer(t, network, s)
			write(t, conn, sound)
			<-h.come
			if err := sendsLast(conn); err != nil {
				t.Fatal(err)
			}
			if err := below(conn).(*net.TCPConn).SetLinger(0); err != nil {
				t.Fatal(err)
			}
			below(conn).Close()
			time.Sleep(100 * time.Millisecond) // for the kernel
			h.goOn <- struct{}{}
			for deadline := time.Now().Add(patience); s.Counts().Streams > 0; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the stream stays open")
				}
			}
		})
	}
}
