package main

import (
	"testing"
	"time"

	"sipregd/internal/config"
	"sipregd/internal/inifile"
)

func TestSpread(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, test := range []struct {
		name     string
		jitter   int
		isShared bool
		outage   time.Duration // that ended just now; 0: none
		blip     time.Duration // another outage, that ended just after it; 0: none
		at       time.Duration
		want     float64 // at most; 0: nothing
	}{
		{"no store that others share", inifile.Auto, false, time.Minute, 0, 0, 0},
		{"before any outage", inifile.Auto, true, 0, 0, 0, 0},
		{"after an outage", inifile.Auto, true, time.Minute, 0, 89 * time.Second, 0.25},
		{"as long after it as it lasted", inifile.Auto, true, time.Minute, 0, 91 * time.Second, 0},
		{"after a very long one", inifile.Auto, true, 10 * time.Hour, 0, 3599 * time.Second, 0.25},
		{"long after a very long one", inifile.Auto, true, 10 * time.Hour, 0, 3601 * time.Second, 0},
		{"after a blip that followed it", inifile.Auto, true, 10 * time.Minute, time.Second, 9 * time.Minute, 0.25},
		{"always", 10, false, 0, 0, 0, 0.10},
		{"never", 0, true, time.Minute, 0, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSpread(&config.Registrar{ExpiryJitter: test.jitter, DefaultExpiration: 3600}, test.isShared)
			if test.outage > 0 {
				s.ended(now, test.outage)
			}
			if test.blip > 0 {
				s.ended(now, test.blip)
			}
			least, most := 1.0, 0.0
			for range 1000 {
				part := s.shorten(now.Add(test.at))
				least, most = min(least, part), max(most, part)
			}
			if least < 0 || most > test.want || most < test.want*0.9 || least > test.want*0.1 {
				t.Errorf("from %v to %v, want up to %v", least, most, test.want)
			}
		})
	}
}

// Phones are told to come again at different times, each of a span.
func TestRetryAfter(t *testing.T) {
	told := map[int]bool{}
	for range 10_000 {
		told[retryAfter()] = true
	}
	for seconds := range told {
		if seconds < soonestRetry || seconds > latestRetry {
			t.Errorf("in %d seconds", seconds)
		}
	}
	if len(told) != latestRetry-soonestRetry+1 {
		t.Errorf("%d of the times in the span are told", len(told))
	}
}
