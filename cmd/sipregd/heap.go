package main

import (
	"runtime/debug"
	"runtime/metrics"
)

const (
	// On a small heap, garbage of some times its size is a cheap price for fewer
	// collections; on a large one half its size has to do.
	smallGrowth = 4
	largeGrowth = 0.5

	freeGrowth = 64 << 20 // bytes of garbage that are no matter in any case
)

// heap sees to it that memory stays in proportion to what lives in it.
type heap struct{ percent int }

// tune is to be called now and then.
func (h *heap) tune() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if next := gcPercent(sample[0].Value.Uint64()); next != h.percent {
		h.percent = next
		debug.SetGCPercent(next)
	}
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
