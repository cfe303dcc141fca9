package main

import (
	"testing"
	"time"
)

// Memory that a load has left behind is given back once it is not needed, and never while
// it is.
func TestMemoryIsGivenBackOnceItLiesAbout(t *testing.T) {
	const mb = 1 << 20
	for _, test := range []struct {
		name   string
		usage  // whose allocated is that since the last look
		passed time.Duration
		want   bool
	}{
		{"after a load", usage{live: 80 * mb, spare: 60 * mb, allocated: mb}, returnTime, true},
		{"amid phones that refresh", usage{live: 80 * mb, spare: 60 * mb, allocated: 4 * mb}, returnTime, true},
		{"amid a load", usage{live: 80 * mb, spare: 60 * mb, allocated: 500 * mb}, returnTime, false},
		{"what is no matter", usage{live: 20 * mb, spare: 16 * mb}, returnTime, false},
		{"little beside what lives", usage{live: 800 * mb, spare: 100 * mb}, returnTime, false},
		{"much beside it", usage{live: 800 * mb, spare: 101 * mb}, returnTime, true},
		{"soon after another look", usage{live: 80 * mb, spare: 60 * mb}, returnTime - 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			const before = 1000 * mb
			began := time.Now()
			var h heap
			if h.isIdle(usage{spare: 60 * mb, allocated: before}, began) {
				t.Error("it is given back at the first look")
			}
			test.allocated += before
			if got := h.isIdle(test.usage, began.Add(test.passed)); got != test.want {
				t.Errorf("given back: %v", got)
			}
		})
	}
}
