package main

import (
	"os"
	"testing"
	"time"
)

func TestPausesAreThoseThatAreLong(t *testing.T) {
	var p pauses
	for _, gap := range []time.Duration{time.Microsecond, pauseFrom, 3 * time.Millisecond, pauseFrom - 1, time.Millisecond} {
		p.add(gap)
	}
	if want := (pauses{count: 3, longest: 3 * time.Millisecond}); p != want {
		t.Errorf("got %+v, want %+v", p, want)
	}
}

func TestWatchPausesComesToAnEnd(t *testing.T) {
	both, err := separateCores()
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("SKIPPED:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := watchPauses(both.server, 20*time.Millisecond); err != nil || time.Since(began) < 20*time.Millisecond {
		t.Errorf("it took %v, %v", time.Since(began), err)
	}
}
