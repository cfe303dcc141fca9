package main

import (
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"sipregd/internal/config"
	"sipregd/internal/transport"
)

// otherFiles is how many files the daemon has open beside streams: its sockets, its store,
// and whoever watches or asks it.
const otherFiles = 128

// streamLimits returns the limits of streams as the configuration has them and the limit
// on open files lets them be, with a warning where that is less. A trusted network may
// have all phones behind it, as a proxy for WebSockets has.
func streamLimits(c *config.Config) (limits transport.Limits, warnings []string) {
	l := &c.Listen
	isTrusted := func(source netip.Addr) bool {
		return slices.ContainsFunc(c.Security.Trusted, func(network netip.Prefix) bool { return network.Contains(source) })
	}
	limits = transport.Limits{Streams: l.MaxStreams, PerSource: l.StreamsPerSource, Trusted: isTrusted}
	var files unix.Rlimit
	if len(l.TCP)+len(l.TLS)+len(l.MutualTLS)+len(l.WS)+len(l.WSS) == 0 || unix.Getrlimit(unix.RLIMIT_NOFILE, &files) != nil {
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
