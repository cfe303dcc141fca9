package main

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"sipregd/internal/config"
	"sipregd/internal/inifile"
)

// spread shortens what phones are granted by chance, so that those that have come all at
// once do not come again all at once: always, or after an outage of the store.
type spread struct {
	most  float64       // the part that is cut at most
	ever  bool          // not just after an outage
	limit time.Duration // of the time after an outage
	until atomic.Int64  // in Unix nanoseconds
}

const (
	jitterAfterOutage = 25 // percent

	// comeBackTime is how long after an outage phones still come again for it: they were told
	// to by Retry-After.
	comeBackTime = 30 * time.Second

	soonestRetry, latestRetry = 5, 15 // seconds
)

func newSpread(c *config.Registrar, isShared bool) *spread {
	s := &spread{limit: time.Duration(c.DefaultExpiration) * time.Second}
	switch {
	case c.ExpiryJitter != inifile.Auto:
		s.most, s.ever = float64(c.ExpiryJitter)/100, true
	case isShared:
		s.most = jitterAfterOutage / 100.0
	}
	return s
}

// ended takes down that the store is back after an outage. A short one does not end the
// time after a longer one.
func (s *spread) ended(now time.Time, outage time.Duration) {
	until := now.Add(min(outage+comeBackTime, s.limit)).UnixNano()
	for held := s.until.Load(); held < until && !s.until.CompareAndSwap(held, until); {
		held = s.until.Load()
	}
}

// shorten returns which part of a time is cut: the registrar's Shorten.
func (s *spread) shorten(now time.Time) float64 {
	if s.most == 0 || !s.ever && now.UnixNano() >= s.until.Load() {
		return 0
	}
	return s.most * rand.Float64()
}

// retryAfter returns in how many seconds a phone is to come again that was told that
// nothing can be stored.
func retryAfter() int { return soonestRetry + rand.IntN(latestRetry-soonestRetry+1) }
