package main

import (
	"net"
	"testing"
	"time"
)

// Requests of some lengths all arrive whole, however many are put at once.
func TestDatagramsArriveAsTheyWerePut(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := &server{address: conn.LocalAddr().(*net.UDPAddr).AddrPort(), peers: peersOfSipregd(150)}
	f, err := newFleet(s, s.peers, "load.invalid", link{transport: "UDP", wires: 1, lanes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	for _, count := range []int{1, 2, batch, batch + 1, len(s.peers)} {
		want := map[string]int{}
		for i := range count {
			p := &f.phones[i]
			p.begin(time.Now(), time.Now())
			p.wire.put(p)
			want[string(p.request())]++
		}
		if _, err := f.wires[0].flush(); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, maxSize)
		for range count {
			_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, err := conn.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			want[string(buffer[:n])]--
		}
		for request, missing := range want {
			if missing != 0 {
				t.Fatalf("%d of %d: %d missing of\n%s", count, count, missing, request)
			}
		}
	}
}
