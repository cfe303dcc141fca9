package digest

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A wall clock that is set back locks nobody out: a nonce that is fresh is
// Right at once, and a captured request stays worthless.
func TestVerifyWhenTheClockIsSetBack(t *testing.T) {
	const day, second = 24 * time.Hour, time.Second
	busy := func(from time.Duration) (at []time.Duration) { // for more than two lifetimes
		for after := time.Duration(0); after < 4*verifyLifetime; after += 100 * second {
			at = append(at, from+after)
		}
		return at
	}
	tests := []struct {
		name   string
		before []time.Duration // when requests came, by the wall clock
		after  []time.Duration // the same once it was set back
	}{
		{"a day", busy(day), busy(0)},
		{"a day, after one request", []time.Duration{day}, busy(0)},
		{"a day, and ahead again", busy(day), append(busy(0), busy(day)...)},
		{"a day, twice", append(busy(2*day), busy(day)...), busy(0)},
		{"a lifetime", busy(0), busy(0)},
		{"a few seconds", busy(0), busy(4*verifyLifetime - 103*second)},
		{"to 1970, as of a board without a battery", busy(0), busy(10*second - verifyTime.Sub(time.Unix(0, 0)))},
	}
	known := NewA1("a", "r", "secret")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := New([32]byte{1}, []Algorithm{MD5}, verifyLifetime)
			var captured []string
			for i, after := range append(test.before, test.after...) {
				now := verifyTime.Add(after)
				nonce := freshNonce(a, now)
				if got := a.Verify(now, "REGISTER", sign(MD5, nonce, "1", "secret"), known, 0); got != Right {
					t.Fatalf("request %d, at %v: %v, want %v", i+1, after, got, Right)
				}
				captured = append(captured, nonce)
				for _, old := range captured {
					if got := a.Verify(now, "REGISTER", sign(MD5, old, "1", "secret"), known, 0); got != Replayed && got != Stale {
						t.Fatalf("request %d, at %v: a captured one is %v", i+1, after, got)
					}
				}
			}
		})
	}
}

// Those who read the clock at the same time pass it on a little out of order:
// that makes no nonce old before its time.
func TestTheClockDoesNotRunAheadWhereRequestsOvertake(t *testing.T) {
	a := New([32]byte{1}, []Algorithm{MD5}, verifyLifetime)
	nonce := freshNonce(a, verifyTime)
	for range 1000 {
		challenges(a, verifyTime.Add(time.Second), "r", false)
		challenges(a, verifyTime, "r", false)
	}
	got := a.Verify(verifyTime.Add(verifyLifetime), "REGISTER", sign(MD5, nonce, "1", "secret"), NewA1("a", "r", "secret"), 0)
	if got != Right {
		t.Errorf("%v, want %v", got, Right)
	}
}

// Wherever the wall clock goes: what is fresh is let in, and nothing twice.
func TestNothingIsLetInTwiceWhereverTheClockGoes(t *testing.T) {
	known := NewA1("a", "r", "secret")
	rapid.Check(t, func(t *rapid.T) {
		a := New([32]byte{1}, []Algorithm{MD5}, 10*time.Second)
		now := verifyTime
		var used []string
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			step := rapid.OneOf(rapid.Int64Range(-3, 6), rapid.Int64Range(-100, 100)).Draw(t, "step")
			now = now.Add(time.Duration(step) * time.Second)
			if len(used) > 0 {
				old := rapid.SampledFrom(used).Draw(t, "captured")
				if got := a.Verify(now, "REGISTER", sign(MD5, old, "1", "secret"), known, 0); got == Right {
					t.Fatal("a captured request was let in")
				}
			}
			fresh := freshNonce(a, now)
			if got := a.Verify(now, "REGISTER", sign(MD5, fresh, "1", "secret"), known, 0); got != Right {
				t.Fatalf("a fresh nonce: %v, want %v", got, Right)
			}
			used = append(used, fresh)
		}
	})
}
