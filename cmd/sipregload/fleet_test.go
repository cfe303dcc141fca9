package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// seen is what a registrar has been sent, by Call-ID, in order.
type seen struct {
	mu       sync.Mutex
	proofs   map[string][]string // the CSeq of each REGISTER with Authorization
	contacts map[string]map[string]bool
}

func (s *seen) take(request []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := header(request, "Call-ID")
	if header(request, "Authorization") != "" {
		s.proofs[id] = append(s.proofs[id], header(request, "CSeq"))
	}
	if s.contacts[id] == nil {
		s.contacts[id] = map[string]bool{}
	}
	s.contacts[id][header(request, "Contact")] = true
}

// registered returns how many phones have registered.
func (s *seen) registered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.proofs)
}

func header(message []byte, name string) string {
	_, rest, _ := bytes.Cut(message, []byte("\r\n"+name+": "))
	value, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return string(value)
}

// fleetOfTest is so many phones and what their registrar sees of them.
func fleetOfTest(t *testing.T, phones int) (*fleet, *seen) {
	t.Helper()
	what := &seen{proofs: map[string][]string{}, contacts: map[string]map[string]bool{}}
	s := registrarOfTest(t, func(request, answer []byte) []byte {
		what.take(request)
		return answer
	})
	fl, err := newFleet(s, scattered(phones), "load.invalid", overUDP())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fl.close)
	return fl, what
}

func TestEachPhoneHasOneTurnAndThenAnother(t *testing.T) {
	const phones, first, again = 100, 40, 16
	fl, what := fleetOfTest(t, phones)
	ctx := context.Background()
	for _, p := range []phase{
		{inFlight: ports, once: true, turns: first},
		{inFlight: ports, once: true, turns: first}, // reached already
	} {
		if r := fl.run(ctx, p); r.err != nil || r.dry || what.registered() != first {
			t.Fatalf("%d registered, want %d; dry %v, %v", what.registered(), first, r.dry, r.err)
		}
	}
	if r := fl.run(ctx, phase{inFlight: ports, once: true}); r.err != nil || r.dry || what.registered() != phones {
		t.Fatalf("%d registered, want all %d; dry %v, %v", what.registered(), phones, r.dry, r.err)
	}
	fl.again(again)
	if r := fl.run(ctx, phase{inFlight: ports, once: true}); r.err != nil {
		t.Fatal(r.err)
	}
	refreshed := 0
	what.mu.Lock()
	defer what.mu.Unlock()
	for id, cseqs := range what.proofs {
		if len(what.contacts[id]) != 1 {
			t.Errorf("%s: Contacts %v, want one", id, what.contacts[id])
		}
		switch got := strings.Join(cseqs, ","); got {
		case "2 REGISTER":
		case "2 REGISTER,4 REGISTER":
			refreshed++
		default:
			t.Errorf("%s: CSeqs %s", id, got)
		}
	}
	if refreshed != again {
		t.Errorf("%d refreshed, want %d", refreshed, again)
	}
}

func TestTooFewPhonesForASpanAreFound(t *testing.T) {
	s := registrarOfTest(t, func(_, answer []byte) []byte { return answer })
	for _, test := range []struct {
		name string
		phase
		want error
	}{
		{"new bindings in a closed loop", phase{inFlight: ports, once: true}, errDry},
		{"new bindings in an open loop", phase{rate: 2000, once: true}, errDry},
		{"round and round", phase{inFlight: 2 * ports}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			fl, err := newFleet(s, s.peers, "load.invalid", overUDP())
			if err != nil {
				t.Fatal(err)
			}
			defer fl.close()
			m, err := fl.measure(context.Background(), &options{span: 200 * time.Millisecond}, s, test.phase)
			if !errors.Is(err, test.want) || test.want == nil && m.completed == 0 {
				t.Errorf("%v, want %v; %d completed", err, test.want, m.completed)
			}
		})
	}
}

// A registrar that stops for a while is charged for all that was due meanwhile.
func TestOpenLoopDoesNotWaitForTheServer(t *testing.T) {
	const pause, rate = 300 * time.Millisecond, 400
	asleep := false
	s := registrarOfTest(t, func(_, answer []byte) []byte {
		if !asleep {
			asleep = true
			time.Sleep(pause)
		}
		return answer
	})
	fl, err := newFleet(s, scattered(1000), "load.invalid", overUDP())
	if err != nil {
		t.Fatal(err)
	}
	defer fl.close()
	from := time.Now()
	r := fl.run(context.Background(), phase{measured: span{from, from.Add(time.Second)}, rate: rate, once: true})
	if r.err != nil || r.dry || r.completed < rate-2*ports || r.completed > rate+ports || len(r.late) != r.completed {
		t.Fatalf("%d completed and %d begun of %d due in a second; dry %v, %v", r.completed, len(r.late), rate, r.dry, r.err)
	}
	slow := 0
	for _, latency := range r.latencies {
		if latency > pause/3 {
			slow++
		}
	}
	// At least those of the first two thirds of the pause: 80.
	if want := 2 * rate / 3 * int(pause/time.Millisecond) / 1000 * 9 / 10; slow < want {
		t.Errorf("%d waited for more than %v, want %d or more", slow, pause/3, want)
	}
	if percentile(r.proofs, 100) > percentile(r.latencies, 100) {
		t.Error("a part took longer than the whole")
	}
}

func TestImportedPhonesGoOnWhereTheirBindingsAre(t *testing.T) {
	fl, what := fleetOfTest(t, ports)
	fl.imported()
	if r := fl.run(context.Background(), phase{inFlight: ports, once: true}); r.err != nil {
		t.Fatal(r.err)
	}
	what.mu.Lock()
	defer what.mu.Unlock()
	for id, cseqs := range what.proofs {
		if len(cseqs) != 1 || cseqs[0] != "3 REGISTER" {
			t.Errorf("%s: CSeqs %v, want 3, above that of the binding", id, cseqs)
		}
	}
}
