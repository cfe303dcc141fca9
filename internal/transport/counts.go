package transport

import (
	"math/bits"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Counts is what a server has taken in so far.
type Counts struct {
	Batches   [batchClasses]Batches // the smaller ones first
	Datagrams uint64                // in all batches
	Dropped   uint64                // of them, unread since there were too many
	// Lost counts datagrams that the kernel has dropped: its queue was full, or it
	// was told to let fewer through.
	Lost     uint64
	Streams  int    // that are open
	Accepted uint64 // streams, since the start
	Refused  Refusals
	Failed   uint64 // times that a stream could not be accepted, as without descriptors
	Pings    uint64 // keepalives on streams (RFC 5626 §3.5.1)
}

// Batches is how many batches there were of up to so many datagrams, and more than
// the next smaller ones hold.
type Batches struct {
	Size  int
	Count uint64
}

// batchClasses is how many sizes of batches are told apart: 1, 2, up to 4, and so
// on to batchSize.
const batchClasses = 9

// counters count what one reader has taken. Just that writes them.
type counters struct {
	batches   [batchClasses]atomic.Uint64
	datagrams atomic.Uint64
	dropped   atomic.Uint64
}

// countBatch takes down a batch of one datagram or more.
func (c *counters) countBatch(taken, dropped int) {
	c.batches[bits.Len(uint(taken-1))].Add(1)
	c.datagrams.Add(uint64(taken))
	if dropped > 0 {
		c.dropped.Add(uint64(dropped))
	}
}

// Counts returns what the server has taken in until now.
func (s *Server) Counts() Counts {
	counts := Counts{
		Streams: int(s.streams.count.Load()), Accepted: s.streams.accepted.Load(),
		Refused: s.streams.refusals.counts(), Failed: s.streams.failed.Load(),
		Pings: s.streams.pings.Load(),
	}
	for i := range counts.Batches {
		counts.Batches[i].Size = 1 << i
	}
	for _, d := range s.readers {
		d.addTo(&counts)
	}
	return counts
}

func (d *datagrams) addTo(counts *Counts) {
	for i := range d.counters.batches {
		counts.Batches[i].Count += d.counters.batches[i].Load()
	}
	counts.Datagrams += d.counters.datagrams.Load()
	counts.Dropped += d.counters.dropped.Load()
	if d.second {
		return
	}
	_ = d.raw.Control(func(fd uintptr) {
		memory, _ := socketMemory(fd)
		counts.Lost += uint64(memory[unix.SK_MEMINFO_DROPS])
	})
}
