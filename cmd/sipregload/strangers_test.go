package main

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"testing"
	"time"
)

// heard is what came from strangers.
type heard struct {
	sources                  map[netip.Addr]int
	ports                    map[uint16]bool
	requests                 map[string]bool
	asking, forging, garbage int
}

func (h *heard) take(data []byte, from netip.AddrPort) {
	h.sources[from.Addr()]++
	h.ports[from.Port()] = true
	whole := bytes.HasPrefix(data, []byte("REGISTER ")) && bytes.HasSuffix(data, []byte("Content-Length: 0\r\n\r\n"))
	switch {
	case !whole:
		h.garbage++
		return
	case header(data, "Authorization") != "":
		h.forging++
	default:
		h.asking++
	}
	h.requests[header(data, "Via")] = true
}

// floodOfTest floods a socket, and returns what came to it until nothing more did.
func floodOfTest(t *testing.T, count int, perSecond float64, lasts time.Duration) (*strangers, *heard) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadBuffer(backlog)
	s, err := newStrangers(conn.LocalAddr().(*net.UDPAddr).AddrPort(), count, peersOfSipregd(ports), "r", []byte("stolen"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	ended := make(chan error, 1)
	go func() { ended <- s.flood(t.Context(), perSecond, lasts) }()
	h := &heard{sources: map[netip.Addr]int{}, ports: map[uint16]bool{}, requests: map[string]bool{}}
	buffer := make([]byte, maxSize)
	for over := false; ; {
		_ = conn.SetReadDeadline(time.Now().Add(50 * ms))
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		switch {
		case err == nil:
			h.take(buffer[:n], from)
		case over:
			return s, h
		}
		select {
		case err := <-ended:
			if over = true; err != nil {
				t.Fatal(err)
			}
		default:
		}
	}
}

func TestStrangersComeFromAsManyAddresses(t *testing.T) {
	const count = 2000
	s, h := floodOfTest(t, count, 3*count, time.Second)
	if len(h.sources) != count || len(h.ports) != 1 {
		t.Errorf("%d sources and %d ports, want %d and one", len(h.sources), len(h.ports), count)
	}
	for source := range h.sources {
		if !netip.MustParsePrefix("127.2.0.0/16").Contains(source) {
			t.Fatalf("one of them is %v", source)
		}
	}
	if got := h.asking + h.forging + h.garbage; got > s.total() || got < s.total()*9/10 {
		t.Errorf("%d came of %d that were sent", got, s.total())
	}
	for name, got := range map[string]int{"without credentials": h.asking, "with forged ones": h.forging, "garbage": h.garbage} {
		if want := s.total() / int(kinds); got < want*8/10 || got > want+batch {
			t.Errorf("%d %s, want some %d", got, name, want)
		}
	}
	if len(h.requests) != h.asking+h.forging {
		t.Errorf("%d transactions in %d requests", len(h.requests), h.asking+h.forging)
	}
}

// The rate is never more than what was asked for, and a flood ends when its time is up.
func TestAFloodKeepsToItsRateAndEnds(t *testing.T) {
	const perSecond, lasts = 10_000, 500 * time.Millisecond
	began := time.Now()
	s, _ := floodOfTest(t, 100, perSecond, lasts)
	if took := time.Since(began); took < lasts {
		t.Errorf("over after %v, want %v", took, lasts)
	}
	if due := perSecond * int(lasts) / int(time.Second); s.total() > due || s.total() == 0 {
		t.Errorf("%d sent, at most %d are due", s.total(), due)
	}
}

func TestAFloodEndsWithItsContext(t *testing.T) {
	s, err := newStrangers(netip.MustParseAddrPort("127.0.0.1:9"), 1, peersOfSipregd(1), "r", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	ctx, stop := context.WithTimeout(t.Context(), 50*ms)
	defer stop()
	const never = time.Hour
	if err := s.flood(ctx, 1000, never); err != nil {
		t.Error(err)
	}
}
