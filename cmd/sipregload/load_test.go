package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// registrarOfTest answers as the floor does, but what alter makes of it: nil
// is lost.
func registrarOfTest(t *testing.T, alter func(request, answer []byte) []byte) *server {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, maxSize)
		for {
			n, from, err := conn.ReadFromUDP(buffer)
			if err != nil {
				return
			}
			if answer := alter(buffer[:n], appendEcho(nil, buffer[:n])); answer != nil {
				_, _ = conn.WriteToUDP(answer, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-ended
	})
	return &server{address: conn.LocalAddr().(*net.UDPAddr).AddrPort(), peers: peersOfSipregd(ports * 2)}
}

// loadUntil loads a server, two phones from each port, until the test has seen
// enough. It returns what was measured and whether that came to pass.
func loadUntil(enough context.Context, s *server) (r result, seen bool) {
	now := time.Now()
	r = load(enough, s, ports*2, span{now, now.Add(20 * time.Second)})
	return r, enough.Err() != nil
}

func TestLossIsMadeGoodWhileOthersGoOn(t *testing.T) {
	enough, stop := context.WithCancel(context.Background())
	defer stop()
	ofThree := 0
	s := registrarOfTest(t, func(request, answer []byte) []byte {
		if bytes.Contains(request, []byte("Call-ID: 3@")) {
			ofThree++
			if ofThree == 1 {
				return nil
			}
			stop()
		}
		return answer
	})
	r, seen := loadUntil(enough, s)
	if !seen || r.err != nil || r.resent == 0 || len(r.latencies) != r.completed {
		t.Errorf("sent again while others go on: %v; %d completed, %d resent, %d latencies, %v",
			seen, r.completed, r.resent, len(r.latencies), r.err)
	}
}

func TestFailedPhoneStopsAndOthersGoOn(t *testing.T) {
	enough, stop := context.WithCancel(context.Background())
	defer stop()
	refused, others := 0, 0
	s := registrarOfTest(t, func(request, answer []byte) []byte {
		if bytes.Contains(request, []byte("Call-ID: 3@")) {
			refused++
			return bytes.Replace(answer, []byte("401 Unauthorized"), []byte("403 Forbidden"), 1)
		}
		if others++; others > 500 && refused > 0 {
			stop()
		}
		return answer
	})
	r, seen := loadUntil(enough, s)
	if !seen || r.failed != 1 || !errors.Is(r.err, errUnexpected) || r.completed < ports*2-1 {
		t.Errorf("others go on: %v; %d failed, %d completed, %v", seen, r.failed, r.completed, r.err)
	}
}

func TestAnswerWithAnotherCallIDFails(t *testing.T) {
	s := registrarOfTest(t, func(_, answer []byte) []byte {
		return bytes.Replace(answer, []byte("@load.invalid"), []byte("@else.invalid"), 1)
	})
	f, err := newFleet(s, s.peers, "load.invalid", overUDP())
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	// The phone never hears of it, and is left alone.
	f.prepare(phase{inFlight: 1})
	f.fill()
	if _, err := f.flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.receive(timerF); err != nil || f.result.failed != 1 {
		t.Errorf("%d failed, %v; want one failure", f.result.failed, err)
	}
}

func TestServerThatIsGoneFails(t *testing.T) {
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: address, peers: peersOfSipregd(ports * 2)}
	if r, _ := loadUntil(context.Background(), s); r.failed == 0 || r.err == nil {
		t.Error("no failure")
	}
}
