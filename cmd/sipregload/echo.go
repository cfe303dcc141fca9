package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"

	"golang.org/x/net/ipv4"
)

// serveEcho is the floor: it reads and writes datagrams of a registration's
// sizes in batches and computes next to nothing. What it answers is no more
// than the generator needs to go on.
func serveEcho(ctx context.Context, text string) error {
	address, err := loopback(text)
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(address))
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	batch := ipv4.NewPacketConn(conn)
	in, out := make([]ipv4.Message, 64), make([]ipv4.Message, 64)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, maxSize)}
		out[i].Buffers = [][]byte{make([]byte, 0, 2*maxSize)}
	}
	for {
		n, err := batch.ReadBatch(in, 0)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			continue
		}
		for i := range n {
			out[i].Buffers[0] = appendEcho(out[i].Buffers[0][:0], in[i].Buffers[0][:in[i].N])
			out[i].Addr = in[i].Addr
		}
		for rest := out[:n]; len(rest) > 0; {
			n, err := batch.WriteBatch(rest, 0)
			if err != nil {
				break
			}
			rest = rest[n:]
		}
	}
}

var (
	challenged = []byte("SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"" +
		strings.Repeat("n", 32) + "\", algorithm=MD5, qop=\"auth\"\r\n")
	granted = []byte("SIP/2.0 200 OK\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\n")
)

// appendEcho appends the header fields of a request behind another first line.
func appendEcho(answer, request []byte) []byte {
	first := challenged
	if bytes.Contains(request, []byte("Authorization")) {
		first = granted
	}
	rest := request[bytes.IndexByte(request, '\n')+1:]
	if end := bytes.Index(rest, []byte("User-Agent")); end > 0 {
		rest = rest[:end]
	}
	answer = append(append(answer, first...), rest...)
	return append(answer, "Content-Length: 0\r\n\r\n"...)
}
