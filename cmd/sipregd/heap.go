package main

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// On a small heap, garbage of some times its size is a cheap price for fewer
	// collections; on a large one half its size has to do.
	smallGrowth = 4
	largeGrowth = 0.5

	freeGrowth = 64 << 20 // bytes of garbage that are no matter in any case

	// Go keeps what a load has left behind for the next one. It goes back to the system
	// once it is much, and several times what was needed within a while.
	returnTime  = 10 * time.Second
	returnLeast = 16 << 20
	returnShare = 8 // of what lives, a part that may lie about
	returnNeed  = 4
)

// heap sees to it that memory stays in proportion to what lives in it.
type heap struct {
	percent   int
	allocated uint64    // bytes in all, when what was needed was last looked at
	looked    time.Time // when that was
}

// usage is how much memory is what, in bytes.
type usage struct {
	live      uint64 // after the last collection
	spare     uint64 // garbage since then, and what is free and was not given back
	allocated uint64 // in all
}

func readUsage() usage {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	of := func(i int) uint64 { return sample[i].Value.Uint64() }
	return usage{live: of(0), spare: max(of(0), of(1)) - of(0) + of(2), allocated: of(3)}
}

// tune is to be called now and then.
func (h *heap) tune(now time.Time) {
	u := readUsage()
	if next := gcPercent(u.live); next != h.percent {
		h.percent = next
		debug.SetGCPercent(next)
	}
	if h.isIdle(u, now) {
		debug.FreeOSMemory()
	}
}

// isIdle tells, once in a while, whether far more memory lies about than was needed since
// it last did.
func (h *heap) isIdle(u usage, now time.Time) bool {
	if now.Sub(h.looked) < returnTime {
		return false
	}
	needed, first := u.allocated-h.allocated, h.looked.IsZero()
	h.allocated, h.looked = u.allocated, now
	return !first && u.spare > max(returnLeast, u.live/returnShare) && u.spare > returnNeed*needed
}

// gcPercent returns how much may gather between two collections, in percent of
// the bytes that live, in steps of ten.
func gcPercent(live uint64) int {
	growth := largeGrowth
	if live > 0 {
		growth = max(growth, min(smallGrowth, freeGrowth/float64(live)))
	} else {
		growth = smallGrowth
	}
	return int(growth*10) * 10
}
