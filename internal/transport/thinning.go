package transport

import (
	"encoding/binary"
	"math"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// thinningStep is how often the kernel is told anew how much to let through.
const thinningStep = 20 * time.Millisecond

// thinning has the kernel drop a part of what is too much, before it is queued
// and copied: to read datagrams just to drop them takes a third of a processor at
// three times what can be served. The kernel cannot look for credentials, so it
// goes by length: requests that carry some are longer. Of shorter ones chance
// decides, but for answers; overload looks closer at what comes through.
type thinning struct {
	share         float64   // of the short ones, that is let through; 0: all, without a filter
	with, without float64   // usual length in bytes, with and without credentials
	due           time.Time // when to look again
	read, dropped int       // since then
}

// learn takes down how long a datagram was.
func (t *thinning) learn(length int, credentials bool) {
	mean := &t.without
	if credentials {
		mean = &t.with
	}
	*mean += (float64(length) - *mean) / 64
}

// count takes down how many datagrams of a batch were read and how many of those
// dropped, and tells whether the kernel is to be told another share.
func (t *thinning) count(read, dropped int, now time.Time) (changed bool) {
	t.read, t.dropped = t.read+read, t.dropped+dropped
	if now.Before(t.due) {
		return false
	}
	before := t.share
	switch {
	case t.dropped > t.read/8:
		t.share = max(t.orAll()/2, 1.0/1024)
	case t.dropped == 0 && t.share > 0:
		t.share *= 1.25
	}
	if t.share >= 1 || t.length() == 0 {
		t.share = 0
	}
	t.due, t.read, t.dropped = now.Add(thinningStep), 0, 0
	return t.share != before
}

func (t *thinning) orAll() float64 {
	if t.share == 0 {
		return 1
	}
	return t.share
}

// length is what tells short datagrams from long ones, 0 where nothing does.
func (t *thinning) length() uint32 {
	if t.with < 1.1*t.without {
		return 0
	}
	return uint32(t.with+t.without) / 2
}

// apply tells the kernel. Where it cannot be told, nothing is thinned out.
func (t *thinning) apply(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) {
		if t.share == 0 {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
			return
		}
		program := t.program()
		_ = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	})
}

// program is what the kernel decides by (socket(7), SO_ATTACH_FILTER).
func (t *thinning) program() []unix.SockFilter {
	const (
		udpHeader = 8                  // counts too, and comes before the data
		random    = 1<<32 - 1<<12 + 56 // SKF_AD_OFF + SKF_AD_RANDOM: a number instead of the data
	)
	share := uint32(t.share * math.MaxUint32)
	answer := binary.BigEndian.Uint32([]byte(answerBegin))
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_LEN},
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: t.length() + udpHeader, Jt: 5},
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: udpHeader + uint32(len(answerBegin)), Jf: 2}, // else there is nothing to load
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: udpHeader},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: answer, Jt: 2},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: random},
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: share, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: math.MaxUint32}, // let through
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
}
