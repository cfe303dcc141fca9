package digest

import (
	"sync"
	"sync/atomic"
	"time"
)

// outOfOrder bounds, in seconds, how far apart the times may be that goroutines
// pass on at once.
const outOfOrder = 5

// clock makes of the wall clock one that never goes back. Were it to go back, the
// same second would come twice: nonces used in the first could be used again in
// the second, or fresh ones would have to be refused until it is over.
type clock struct {
	same   atomic.Pointer[second] // what was last asked for
	mu     sync.Mutex
	last   int64 // seconds since 1970 at most so far
	behind int64 // seconds that the wall clock was set back by, all together
}

// second is a second of the wall clock and what became of it.
type second struct{ wall, ours int64 }

// seconds returns the time in seconds: since 1970, until the wall clock is set
// back. Then time goes on from where it was.
func (c *clock) seconds(now time.Time) uint32 {
	if same := c.same.Load(); same != nil && same.wall == now.Unix() {
		return uint32(same.ours)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	seconds := now.Unix() + c.behind
	if seconds < c.last-outOfOrder {
		c.behind += c.last - seconds
	}
	c.last = max(c.last, seconds)
	c.same.Store(&second{now.Unix(), c.last})
	return uint32(c.last)
}
