package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"sipregd/internal/race"
)

// rest is how the daemon is while nothing befalls it and hardly a phone is connected, so
// long after the beginning.
type rest struct {
	after       time.Duration
	memory      int // bytes that are resident
	live        int // bytes of those that live on the heap, about
	goroutines  int
	descriptors int
}

// figures are those of a rest that must not grow, by their names, and by how much they
// may be larger at the end: by a part, and a little.
var figures = []struct {
	name         string
	of           func(rest) int
	memory       bool
	part, little float64
}{
	{"goroutines", func(r rest) int { return r.goroutines }, false, 0, 5},
	{"descriptors", func(r rest) int { return r.descriptors }, false, 0, 5},
	{"MB resident", func(r rest) int { return r.memory >> 20 }, true, 0.1, 16},
	{"MB live", func(r rest) int { return r.live >> 20 }, true, 0.1, 4},
}

// watch has the daemon rest now and then, and returns how it was.
func (s *soak) watch(length time.Duration) (rests []rest) {
	pause := min(max(length/60, 2*time.Second), 30*time.Second)
	for began := time.Now(); time.Since(began) < length || len(rests) < 3; {
		time.Sleep(pause)
		now := s.rest()
		now.after = time.Since(began)
		rests = append(rests, now)
	}
	return rests
}

// rest ends all that goes on, and looks how the daemon is then.
func (s *soak) rest() rest {
	s.gate.Lock()
	defer s.gate.Unlock()
	remain := 0
	for _, p := range s.phones {
		if !p.stays {
			p.hangUp()
		} else if p.network != "udp" {
			remain++
		}
	}
	s.mood.Store(takes)
	s.putPeers(nil)
	s.d.ask(s.t, http.MethodPost, "/api/v1/reload", nil, nil)
	s.waitStreams(remain)
	return s.look()
}

// waitStreams waits until so many are left.
func (s *soak) waitStreams(remain int) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		streams := int(figureOf(s.t, get(s.t, s.metrics), "sipregd_streams"))
		if streams == remain {
			return
		}
		if time.Now().After(deadline) {
			s.fail("at rest %d streams are open, want %d", streams, remain)
			return
		}
	}
}

// look returns the least of some looks, as what is on its end may take a moment.
func (s *soak) look() (least rest) {
	for i := range 8 {
		time.Sleep(200 * time.Millisecond)
		scrape := get(s.t, s.metrics)
		now := rest{
			memory: s.d.residentNow(s.t),
			// From this the collector works out when to begin again.
			live:       int(figureOf(s.t, scrape, "go_memstats_next_gc_bytes") / (1 + figureOf(s.t, scrape, "go_gc_gogc_percent")/100)),
			goroutines: int(figureOf(s.t, scrape, "go_goroutines")), descriptors: s.descriptors(),
		}
		if i == 0 {
			least = now
		}
		least = rest{memory: min(least.memory, now.memory), live: min(least.live, now.live),
			goroutines: min(least.goroutines, now.goroutines), descriptors: min(least.descriptors, now.descriptors)}
	}
	return least
}

// descriptors counts those of the daemon.
func (s *soak) descriptors() int {
	s.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.d.command.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(entries)
}

// checkGrowth compares the first quarter of the rests with the last one, by medians, once
// what has a bound is full.
func checkGrowth(t *testing.T, rests []rest, length time.Duration) {
	t.Helper()
	warm := slices.IndexFunc(rests, func(r rest) bool { return r.after > min(length/6, 10*time.Minute) })
	if warm < 0 || len(rests)-warm < 2 {
		t.Fatalf("there were %d rests", len(rests))
	}
	rests = rests[warm:]
	quarter := max(1, len(rests)/4)
	for _, figure := range figures {
		first, all, last := median(rests[:quarter], figure.of), median(rests, figure.of), median(rests[len(rests)-quarter:], figure.of)
		t.Logf("%s: at first %d, at all rests %d, at last %d, of %d", figure.name, first, all, last, each(rests, figure.of))
		if figure.memory && (length < 2*time.Minute || race.Enabled()) {
			continue // too little to tell, or too much of the race detector's own
		}
		if float64(last) > float64(first)*(1+figure.part)+figure.little {
			t.Errorf("%s: %d at first, %d at last", figure.name, first, last)
		}
	}
}

func median(rests []rest, of func(rest) int) int {
	all := each(rests, of)
	slices.Sort(all)
	return all[len(all)/2]
}

func each(rests []rest, of func(rest) int) (all []int) {
	for _, r := range rests {
		all = append(all, of(r))
	}
	return all
}
