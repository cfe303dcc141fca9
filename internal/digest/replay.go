package digest

import (
	"math"
	"sync"
)

const (
	// MaxUsedPages bounds the memory of the replay check: so many pages of nonces,
	// 1 KB each, are remembered in each of its two halves. Beyond it the oldest are
	// forgotten and count as too old.
	MaxUsedPages = 1 << 14

	// pageNonces is how many nonces that were given out one after the other share a
	// page. They are used soon after each other too.
	pageNonces = 256
)

// page holds for each of its nonces the highest count seen and one more; 0: none.
type page [pageNonces]uint32

// usedNonces remembers the highest nonce count seen with each nonce that
// proved a secret, so that captured credentials are good for nothing. Only pages
// with such nonces take room. A stranger who has challenges made without end can
// bring it about that each page holds one, not that memory grows. Its times are
// those of clock.seconds.
type usedNonces struct {
	lifetime uint32 // of a nonce, in seconds
	capacity int    // pages in each half

	mu       sync.Mutex
	latest   uint32           // time that was seen
	current  map[uint64]*page // by the nonces' numbers, without their lowest bits
	previous map[uint64]*page
	began    uint32 // when current was begun
	horizon  uint32 // nonces issued up to then may have been forgotten
}

func newUsedNonces(lifetime uint32, capacity int) *usedNonces {
	return &usedNonces{lifetime: lifetime, capacity: capacity, current: map[uint64]*page{}}
}

// claim tells whether that count may be used with the nonce, and marks it as
// used. Counts have to rise (RFC 7616 §3.4).
func (u *usedNonces) claim(now uint32, n nonce, count uint32) Result {
	u.mu.Lock()
	defer u.mu.Unlock()
	// Others may have been let in since now, and clocks of others may be ahead.
	u.latest = max(u.latest, now, n.issued)
	u.turn(u.latest)
	mark, at := min(count, math.MaxUint32-1)+1, n.number%pageNonces
	here := u.current[n.number/pageNonces]
	highest := here.highest(at)
	if highest == 0 && n.issued <= u.began { // else it cannot be there
		highest = u.previous[n.number/pageNonces].highest(at)
	}
	switch {
	case highest == 0 && n.issued <= u.horizon:
		return Stale
	case mark <= highest:
		return Replayed
	case here == nil:
		here = new(page)
		u.current[n.number/pageNonces] = here
	}
	here[at] = mark
	return Right
}

// pages returns how many are remembered.
func (u *usedNonces) pages() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.current) + len(u.previous)
}

// highest returns what a page holds there; a page that is not there holds nothing.
func (p *page) highest(at uint64) uint32 {
	if p == nil {
		return 0
	}
	return p[at]
}

// turn forgets the older half when the newer one is full, or holds nothing
// that is still valid.
func (u *usedNonces) turn(now uint32) {
	if u.began == 0 {
		u.began = now
	}
	if len(u.current) < u.capacity && now < u.began+u.lifetime {
		return
	}
	if len(u.previous) > 0 {
		u.horizon = u.began // when previous was closed
	}
	u.previous, u.current, u.began = u.current, make(map[uint64]*page), now
}
