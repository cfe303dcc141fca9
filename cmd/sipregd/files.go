package main

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"sipregd/internal/config"
	"sipregd/internal/transport"
)

// otherFiles is how many files the daemon has open beside streams: its sockets, its store,
// and whoever watches or asks it.
const otherFiles = 128

// streamLimits returns the limits of streams as the configuration has them and the limit
// on open files lets them be, with a warning where that is less. This machine itself is
// trusted: a proxy for WebSockets on it has all phones behind it.
func streamLimits(l *config.Listen) (limits transport.Limits, warnings []string) {
	limits = transport.Limits{Streams: l.MaxStreams, PerSource: l.StreamsPerSource, Trusted: netip.Addr.IsLoopback}
	var files unix.Rlimit
	if len(l.TCP)+len(l.TLS)+len(l.WS)+len(l.WSS) == 0 || unix.Getrlimit(unix.RLIMIT_NOFILE, &files) != nil {
		return limits, nil
	}
	needed := uint64(l.MaxStreams) + otherFiles
	if files.Cur >= needed { // Go has raised it as far as it may be
		return limits, nil
	}
	limits.Streams = max(1, int(files.Cur)-otherFiles)
	return limits, []string{fmt.Sprintf("[listen] max_streams = %d takes %d open files, and %d are allowed, so that %d streams may be open: write LimitNOFILE=%d in the unit (systemctl edit sipregd), or less for max_streams",
		l.MaxStreams, needed, files.Cur, limits.Streams, needed)}
}
