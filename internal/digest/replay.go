package digest

import "sync"

// MaxUsedNonces bounds the memory of the replay check: so many nonces that
// proved a secret are remembered in each of its two halves, 24 bytes or so
// each. Beyond it the oldest are forgotten and count as too old.
const MaxUsedNonces = 1 << 20

// usedNonces remembers the highest nonce count seen with each nonce that
// proved a secret, so that captured credentials are good for nothing. Only
// such nonces take room: a stranger cannot fill it. Its times are those of
// clock.seconds, which never go back.
type usedNonces struct {
	lifetime uint32 // of a nonce, in seconds
	capacity int    // entries in each half

	mu       sync.Mutex
	current  map[uint64]uint32 // nonce number → highest count
	previous map[uint64]uint32
	began    uint32 // when current was begun
	horizon  uint32 // nonces issued up to then may have been forgotten
}

func newUsedNonces(lifetime uint32, capacity int) *usedNonces {
	return &usedNonces{lifetime: lifetime, capacity: capacity, current: map[uint64]uint32{}}
}

// claim tells whether that count may be used with the nonce, and marks it as
// used. Counts have to rise (RFC 7616 §3.4).
func (u *usedNonces) claim(now uint32, n nonce, count uint32) Result {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.turn(now)
	highest, used := u.current[n.number]
	if !used && n.issued <= u.began { // else it cannot be there
		highest, used = u.previous[n.number]
	}
	if !used && n.issued <= u.horizon {
		return Stale
	}
	if used && count <= highest {
		return Replayed
	}
	u.current[n.number] = count
	return Right
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
	u.previous, u.current, u.began = u.current, make(map[uint64]uint32), now
}
