package main

import (
	"fmt"
	"io"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// pauseFrom is how long a core has to stand still for a pause.
const pauseFrom = 500 * time.Microsecond

// pauses are times at which a core does nothing of what it is asked to do, as it
// happens to virtual machines.
type pauses struct {
	count   int
	longest time.Duration
}

// printPauses says what the machine's part is in the times of a server that has four
// fifths of a core to do.
func printPauses(out io.Writer, all []pauses, span time.Duration) {
	counts, longest := make([]float64, len(all)), make([]float64, len(all))
	for i, p := range all {
		counts[i], longest[i] = float64(p.count), millis(p.longest)
	}
	fmt.Fprintf(out, "\nThe server's core, with nothing to do but to look at the clock for %v, stood still for %v or more\n"+
		"%s times, for %s ms at most. At 80 %% it takes a server five times as long as each pause\n"+
		"until nobody waits any more.\n", span, pauseFrom, spreadOf(counts).text("%.0f"), spreadOf(longest).text("%.1f"))
}

// add takes down how long it was from one look at the clock to the next.
func (p *pauses) add(gap time.Duration) {
	if gap >= pauseFrom {
		p.count++
		p.longest = max(p.longest, gap)
	}
}

// watchPauses has a core do nothing but look at the clock for that long.
func watchPauses(core int, span time.Duration) (p pauses, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return p, err
	}
	wanted := setOf(core)
	if err := unix.SchedSetaffinity(0, &wanted); err != nil {
		return p, err
	}
	began := time.Now()
	for last := began; last.Sub(began) < span; {
		now := time.Now()
		p.add(now.Sub(last))
		last = now
	}
	return p, unix.SchedSetaffinity(0, &before)
}
