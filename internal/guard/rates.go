package guard

import (
	"sync/atomic"
	"time"
)

// burstTime is how long a source may have been silent to send at once all that it may
// send within that time.
const burstTime = 10 * time.Second

// rate is a token bucket: one token comes in each interval, and as many are kept as
// come within burst. All that is remembered of a bucket is when it will be full, its
// due time (ITU-T I.371, the generic cell rate algorithm). The zero rate lets all
// through.
type rate struct{ interval, burst time.Duration }

// perSecond returns the rate of so many a second; 0: all.
func perSecond(n int) rate {
	if n == 0 {
		return rate{}
	}
	return rate{time.Second / time.Duration(n), burstTime}
}

// take takes a token, if there is one.
func (r rate) take(due *time.Duration, now time.Duration) bool {
	next := max(*due, now) + r.interval
	if next-now > r.burst {
		return false
	}
	*due = next
	return true
}

// empty tells whether there is no token.
func (r rate) empty(due, now time.Duration) bool { return max(due, now)+r.interval-now > r.burst }

// shared is a bucket that many goroutines take from.
type shared struct {
	rate
	due atomic.Int64
}

func (s *shared) take(now time.Duration) bool {
	for {
		before := s.due.Load()
		due := time.Duration(before)
		switch {
		case !s.rate.take(&due, now):
			return false
		case s.due.CompareAndSwap(before, int64(due)):
			return true
		}
	}
}
