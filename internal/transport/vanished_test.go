package transport

import (
	"bufio"
	"testing"

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
