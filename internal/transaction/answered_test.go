package transaction

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Against a list in order of time: what is there is the newest part of it, all of
// it while there is room, and to the letter.
func TestAnsweredAgainstAModel(t *testing.T) {
	type entry struct {
		key   uint64
		text  []byte
		added time.Time
	}
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.SampledFrom([]int{4 << 10, 64 << 10}).Draw(t, "bound")
		a, now := answered{maxBytes: bound}, start
		var all []entry
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 100, 5000, 33_000}).Draw(t, "pause")) * time.Millisecond)
			number := rapid.Uint64Range(0, 30).Draw(t, "key")
			e := entry{number%5<<32 | number, nil, now} // some have a half in common
			e.text = bytes.Repeat([]byte(fmt.Sprint(i, ",")), rapid.SampledFrom([]int{1, 20, 60, 150}).Draw(t, "size"))
			a.add(e.key, e.text, e.text[:len(e.text)/2], now)
			all = append(all, e)
			if a.bytes() > bound {
				t.Fatalf("%d bytes are used, more than %d", a.bytes(), bound)
			}
			there, newest := true, map[uint64]bool{}
			for n := len(all) - 1; n >= 0; n-- {
				e := all[n]
				if newest[e.key] {
					continue
				}
				newest[e.key] = true
				transaction, response, found := a.find(e.key, now)
				switch {
				case found && (!bytes.Equal(transaction, e.text) || !bytes.Equal(response, e.text[:len(e.text)/2])):
					t.Fatalf("key %d holds %q, want %q", e.key, transaction, e.text)
				case found && (!there || now.Sub(e.added) >= timerJ):
					t.Fatalf("key %d of %v ago is there", e.key, now.Sub(e.added))
				case !found && n == len(all)-1:
					t.Fatalf("the newest is not there")
				case !found && bound > 32<<10 && len(all) < 50 && now.Sub(e.added) < timerJ:
					t.Fatalf("key %d is gone, and there was room", e.key)
				}
				there = there && found
			}
		}
	})
}

// A daemon with few phones does not come to use all the memory that it might.
func TestMemoryIsUsedAgainBeforeMoreIs(t *testing.T) {
	a, now := answered{maxBytes: 64 << 20}, start
	for i := range 100_000 {
		now = now.Add(time.Second)
		a.add(uint64(i), make([]byte, 100), make([]byte, 150+i%10), now)
	}
	if a.bytes() > 64*400 {
		t.Errorf("%d bytes are used for 32 transactions at a time", a.bytes())
	}
}
