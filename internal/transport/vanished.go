package transport

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// How the kernel notices that the other side of a stream has gone without a word, as
// phones do that lose power or their network: a probe after a minute of silence, and
// after three more without an answer it ends the stream, within two minutes. With
// Linux's own nine probes a minute apart such a phone is listed for ten.
const (
	probeAfter = 60 * time.Second
	probeGap   = 15 * time.Second
	probes     = 4
)

// noticeDeath has the kernel watch a stream. While something that was sent waits to be
// acknowledged it sends no probes, so that has its own limit. Both are helps, not needs.
func noticeDeath(conn *net.TCPConn) {
	const limit = probeAfter + probes*probeGap
	_ = conn.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeGap, Count: probes})
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limit.Milliseconds()))
		})
	}
}
