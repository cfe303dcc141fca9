package shared

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// deadlines hands out contexts that end in time. What begins within a short while
// shares one, so that none has to be made for each operation.
type deadlines struct {
	timeout time.Duration
	mu      sync.Mutex
	latest  atomic.Pointer[deadline]
}

type deadline struct {
	context.Context
	until time.Time // what begins up to then may share it
}

// share is the part of the time-out within which operations share a deadline.
const share = 20

func (d *deadlines) next(now time.Time) context.Context {
	if latest := d.latest.Load(); latest != nil && now.Before(latest.until) {
		return latest
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if latest := d.latest.Load(); latest != nil && now.Before(latest.until) {
		return latest
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(d.timeout, func() { cancel(errSlow) })
	latest := &deadline{ctx, now.Add(d.timeout / share)}
	d.latest.Store(latest)
	return latest
}
