package journal

import "hash/maphash"

// knownCalls is how many Call-IDs there is room for. Of two that meet in one place
// the later one counts.
const knownCalls = 1 << 13

// call stands for a Call-ID.
type call uint32

// calls know which Call-IDs had something else than a challenge last, and when.
type calls struct {
	seed maphash.Seed
	last []uint64 // the sequence number of that, at the place of the call
}

func newCalls() calls { return calls{maphash.MakeSeed(), make([]uint64, knownCalls)} }

func (c *calls) find(callID string) call { return call(maphash.String(c.seed, callID) % knownCalls) }

func (c *calls) answer(at call, seq uint64) { c.last[at] = seq }

func (c *calls) answeredAfter(at call, seq uint64) bool { return c.last[at] > seq }
