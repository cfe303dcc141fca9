package shared

import (
	"sync/atomic"
	"time"
)

// clock tells the time of Redis's clock, whatever this machine's clock says: from what
// TIME returned, and how long ago that was.
type clock struct {
	began time.Time // with the reading of a monotonic clock
	held  atomic.Pointer[reading]
}

// reading is how far Redis's clock is ahead of the time that went by here.
type reading struct {
	at    time.Duration // when it was taken
	ahead time.Duration // since 1970
	off   time.Duration // at most
}

// drift is how far apart two clocks go at most, as a part of the time that goes by.
const drift = 1.0 / 5000

func newClock() *clock {
	c := &clock{began: time.Now()}
	c.held.Store(&reading{ahead: time.Duration(c.began.UnixNano()), off: 1 << 62}) // until Redis says better
	return c
}

func (c *clock) elapsed() time.Duration { return time.Since(c.began) }

// now returns the time by Redis's clock.
func (c *clock) now() time.Time {
	return time.Unix(0, int64(c.held.Load().ahead+c.elapsed())).UTC()
}

// set takes what Redis's clock said at some time between sent and received. It is put
// aside where what is known agrees with it and is closer.
func (c *clock) set(sent, received time.Duration, said time.Time) {
	next := &reading{received, time.Duration(said.UnixNano()) - (sent+received)/2, (received - sent) / 2}
	held := c.held.Load()
	off := held.off
	if off < 1<<61 {
		off += time.Duration(float64(received-held.at) * drift)
	}
	apart := (next.ahead - held.ahead).Abs()
	if next.off <= off || apart > next.off+off { // closer, or the clock was set
		c.held.Store(next)
	}
}
