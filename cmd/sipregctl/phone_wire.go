package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// mostMessage bounds a message, in bytes.
const mostMessage = 65535

// wire is the phone's way to the server.
type wire struct {
	conn   net.Conn
	stream *bufio.Reader // nil: datagrams
}

// dial opens the way, from the local address bind unless that is the zero one.
func dial(ctx context.Context, network, server string, bind netip.Addr) (*wire, error) {
	dialer := net.Dialer{}
	if bind.IsValid() {
		dialer.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(bind, 0))
		if network == "tcp" {
			dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(bind, 0))
		}
	}
	conn, err := dialer.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	w := &wire{conn: conn}
	if network == "tcp" {
		w.stream = bufio.NewReaderSize(conn, mostMessage)
	}
	return w, nil
}

func (w *wire) close() { w.conn.Close() }

// local is where the phone is reached, by what its own machine knows.
func (w *wire) local() netip.AddrPort {
	var address netip.AddrPort
	switch local := w.conn.LocalAddr().(type) {
	case *net.UDPAddr:
		address = local.AddrPort()
	case *net.TCPAddr:
		address = local.AddrPort()
	}
	return netip.AddrPortFrom(address.Addr().Unmap().WithZone(""), address.Port())
}

func (w *wire) send(message string, deadline time.Time) error {
	if err := w.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err := w.conn.Write([]byte(message))
	return err
}

// receive waits for one message.
func (w *wire) receive(deadline time.Time) ([]byte, error) {
	if err := w.conn.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	if w.stream != nil {
		return readMessage(w.stream)
	}
	datagram := make([]byte, mostMessage)
	n, err := w.conn.Read(datagram)
	return datagram[:n], err
}

// errFrame is about a stream on which nobody can tell where a message ends.
var errFrame = errors.New("no SIP message on the stream")

// readMessage takes one message off a stream (RFC 3261 §18.3).
func readMessage(stream *bufio.Reader) ([]byte, error) {
	var message []byte
	length := 0
	for {
		line, err := stream.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) || len(message)+len(line) > mostMessage {
			return nil, errFrame
		}
		if err != nil {
			return nil, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" && len(message) == 0 {
			continue // §7.5
		}
		message = append(message, line...)
		if text == "" {
			break
		}
		name, value, _ := strings.Cut(text, ":")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "content-length", "l":
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil || length < 0 {
				return nil, fmt.Errorf("%w: Content-Length %q", errFrame, value)
			}
		}
	}
	if length > mostMessage-len(message) {
		return nil, errFrame
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(stream, body); err != nil {
		return nil, err
	}
	return append(message, body...), nil
}
