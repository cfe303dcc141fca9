package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestResponsesAreSplit(t *testing.T) {
	const one = "SIP/2.0 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
	const two = "SIP/2.0 200 OK\r\nContent-Length: 4\r\nServer: k\r\n\r\nbody"
	for _, test := range []struct {
		name, data string
		whole      []string
		rest       string
		wrong      bool
	}{
		{"nothing", "", nil, "", false},
		{"one", one, []string{one}, "", false},
		{"two and a part", one + two + one[:30], []string{one, two}, one[:30], false},
		{"a body not all there", two[:len(two)-1], nil, two[:len(two)-1], false},
		{"pongs between them", "\r\n" + one + "\r\n\r\n" + two, []string{one, two}, "", false},
		{"no Content-Length", one + "SIP/2.0 200 OK\r\n\r\n", []string{one}, "", true},
		{"Content-Length is no number", "SIP/2.0 200 OK\r\nContent-Length: x\r\n\r\n", nil, "", true},
		{"Content-Length is less than nothing", "SIP/2.0 200 OK\r\nContent-Length: -4\r\n\r\n", nil, "", true},
		{"no end of the header", strings.Repeat("x", maxSize+1), nil, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var whole []string
			rest, err := split([]byte(test.data), func(response []byte) { whole = append(whole, string(response)) })
			if !slices.Equal(whole, test.whole) || errors.Is(err, errUnexpected) != test.wrong {
				t.Errorf("%q, %v", whole, err)
			}
			if !test.wrong && string(rest) != test.rest {
				t.Errorf("%q is left, want %q", rest, test.rest)
			}
		})
	}
}

// streamsOfTest answers on streams as the floor does: what has been asked in
// one piece at once, in pieces of a size.
func streamsOfTest(t *testing.T, size int, seen func(from string, request []byte)) *server {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				answerStream(conn, size, seen)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	return &server{address: listener.Addr().(*net.TCPAddr).AddrPort(), peers: peersOfSipregd(40)}
}

func answerStream(conn net.Conn, size int, seen func(from string, request []byte)) {
	buffer, held := make([]byte, 1<<16), 0
	for {
		n, err := conn.Read(buffer[held:])
		if err != nil {
			return
		}
		var answers []byte
		rest, err := split(buffer[:held+n], func(request []byte) {
			seen(conn.RemoteAddr().String(), request)
			answers = appendEcho(answers, request)
		})
		if err != nil {
			return
		}
		held = copy(buffer, rest)
		for piece := range slices.Chunk(answers, size) {
			if _, err := conn.Write(piece); err != nil {
				return
			}
		}
	}
}

func TestPhonesRegisterOverStreams(t *testing.T) {
	for _, test := range []struct {
		name           string
		streams, piece int
	}{
		{"one stream, many responses in one piece", 1, 1 << 16},
		{"one stream, responses in pieces", 1, 100},
		{"each phone has its own", 40, 1 << 16},
		{"some phones share one", 7, 300},
	} {
		t.Run(test.name, func(t *testing.T) {
			var mu sync.Mutex
			streams := map[string]string{} // of phones, by Call-ID
			s := streamsOfTest(t, test.piece, func(from string, request []byte) {
				mu.Lock()
				defer mu.Unlock()
				id := header(request, "Call-ID")
				if known := streams[id]; known != "" && known != from {
					t.Errorf("%s has left its stream", id)
				}
				streams[id] = from
				if !bytes.Contains(request, []byte("\r\nVia: SIP/2.0/TCP "+from+";")) ||
					!strings.HasSuffix(header(request, "Contact"), "@"+from+";transport=tcp>") {
					t.Errorf("from %s:\n%s", from, request)
				}
			})
			f, err := newFleet(s, s.peers, "load.invalid", overTCP(test.streams))
			if err != nil {
				t.Fatal(err)
			}
			defer f.close()
			r := f.run(context.Background(), phase{inFlight: len(s.peers), once: true})
			if r.err != nil || len(f.done) != len(s.peers) || r.resent != 0 {
				t.Errorf("%d have registered, %d sent again, %v", len(f.done), r.resent, r.err)
			}
			mu.Lock()
			defer mu.Unlock()
			used := map[string]bool{}
			for _, stream := range streams {
				used[stream] = true
			}
			if len(used) != test.streams {
				t.Errorf("%d streams, want %d", len(used), test.streams)
			}
		})
	}
}

func TestClosedStreamFails(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := &server{address: listener.Addr().(*net.TCPAddr).AddrPort(), peers: peersOfSipregd(1)}
	f, err := newFleet(s, s.peers, "load.invalid", overTCP(1))
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if r := f.run(context.Background(), phase{inFlight: 1, once: true}); r.err == nil {
		t.Error("no failure")
	}
}
