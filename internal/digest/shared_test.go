package digest

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func newSharing(start uint64, now time.Time) *Authenticator {
	return NewShared([32]byte{1}, start, now, []Algorithm{MD5}, verifyLifetime)
}

// A phone may answer to one what another has challenged it with, though their clocks
// differ by up to a minute.
func TestANonceOfAnotherWithTheKey(t *testing.T) {
	const second = time.Second
	known := NewA1("a", "r", "secret")
	tests := []struct {
		name      string
		at        time.Duration // when it was given out, by the clock of who has
		want      Result
		wantAge   time.Duration
		wantAgain Result
	}{
		{"just now", 0, Right, second, Replayed},
		{"a clock ahead", 60 * second, Right, second, Replayed},
		{"a clock too far ahead", 61 * second, Stale, 0, Stale},
		{"a clock behind", -60 * second, Right, 61 * second, Replayed},
		{"at the end of its life", -verifyLifetime, Right, verifyLifetime + second, Replayed},
		{"too old", -verifyLifetime - second, Stale, verifyLifetime + 2*second, Stale},
		{"before this one has begun", -400 * second, Stale, 401 * second, Stale},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			other, here := newSharing(1<<40, verifyTime.Add(-time.Hour)), newSharing(1<<50, verifyTime.Add(-400*second))
			nonce := freshNonce(other, verifyTime.Add(test.at))
			if age := here.Age(verifyTime, nonce); test.wantAge != 0 && age != test.wantAge {
				t.Errorf("age %v, want %v", age, test.wantAge)
			}
			for i, want := range []Result{test.want, test.wantAgain} {
				if got := here.Verify(verifyTime, "REGISTER", sign(MD5, nonce, "1", "secret"), known, 0); got != want {
					t.Errorf("time %d: %v, want %v", i+1, got, want)
				}
			}
		})
	}
}

// Whoever remembers a use for the lifetime of the nonce and ClockDifference remembers it for
// as long as anybody may take it: one whose clock is a minute behind that of who gave it out.
func TestHowLongANonceIsTakenSomewhere(t *testing.T) {
	known := NewA1("a", "r", "secret")
	for _, test := range []struct {
		name string
		at   time.Duration // by a clock that is right
		want Result
	}{
		{"after its lifetime", verifyLifetime + time.Second, Right},
		{"at the very end", verifyLifetime + ClockDifference - time.Millisecond, Right},
		{"when it is not remembered any more", verifyLifetime + ClockDifference, Stale},
	} {
		t.Run(test.name, func(t *testing.T) {
			ahead, behind := newSharing(1<<40, verifyTime.Add(-time.Hour)), newSharing(1<<50, verifyTime.Add(-time.Hour))
			nonce := freshNonce(ahead, verifyTime.Add(maxAhead*time.Second))
			if got := behind.Verify(verifyTime.Add(test.at), "REGISTER", sign(MD5, nonce, "1", "secret"), known, 0); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// What an earlier life has let in is not known any more: its nonces are good for nothing
// in this one.
func TestNoncesOfAnEarlierLifeAreStale(t *testing.T) {
	earlier := newSharing(1<<40, verifyTime.Add(-time.Minute))
	nonce := freshNonce(earlier, verifyTime)
	here := newSharing(1<<50, verifyTime)
	known := NewA1("a", "r", "secret")
	if got := here.Verify(verifyTime, "REGISTER", sign(MD5, nonce, "1", "secret"), known, 0); got != Stale {
		t.Errorf("%v, want %v", got, Stale)
	}
	own := freshNonce(here, verifyTime) // in the very second that it began
	if got := here.Verify(verifyTime, "REGISTER", sign(MD5, own, "1", "secret"), known, 0); got != Right {
		t.Errorf("its own: %v, want %v", got, Right)
	}
	if got := here.Verify(verifyTime, "REGISTER", sign(MD5, own, "1", "secret"), known, 0); got != Replayed {
		t.Errorf("its own once more: %v, want %v", got, Replayed)
	}
}

// Where the key comes later all goes on by it, and captured requests stay worthless.
func TestAKeyThatComesLater(t *testing.T) {
	known := NewA1("a", "r", "secret")
	here, other := NewShared([32]byte{9}, 1<<50, verifyTime.Add(-time.Hour), []Algorithm{MD5}, verifyLifetime), newSharing(1<<40, verifyTime.Add(-time.Hour))
	before, captured := freshNonce(here, verifyTime), freshNonce(other, verifyTime)
	here.Share([32]byte{1}, verifyTime)
	now := verifyTime.Add(time.Second)
	for _, test := range []struct {
		nonce string
		want  Result
	}{{before, Stale}, {captured, Stale}, {freshNonce(other, now), Right}, {freshNonce(here, now), Right}} {
		if got := here.Verify(now, "REGISTER", sign(MD5, test.nonce, "1", "secret"), known, 0); got != test.want {
			t.Errorf("%v, want %v", got, test.want)
		}
	}
}

// Whoever has given out a nonce, and however little room there is, no count is let in
// twice in one place.
func TestNothingOfOthersIsLetInTwice(t *testing.T) {
	known := NewA1("a", "r", "secret")
	rapid.Check(t, func(t *rapid.T) {
		now := verifyTime
		here, other := newSharing(1<<40, now), newSharing(1<<50, now)
		here.used.capacity = rapid.IntRange(1, 4).Draw(t, "capacity")
		ahead := time.Duration(rapid.IntRange(-90, 90).Draw(t, "ahead")) * time.Second
		var captured []string
		taken := map[string]bool{}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "pause")) * time.Second)
			if rapid.Bool().Draw(t, "skips pages") {
				other.mint.last.Add(pageNonces)
			}
			nonce := freshNonce(here, now)
			if rapid.Bool().Draw(t, "of the other") {
				nonce = freshNonce(other, now.Add(ahead))
			}
			captured = append(captured, nonce)
			old := captured[rapid.IntRange(0, len(captured)-1).Draw(t, "captured")]
			for _, nonce := range []string{nonce, old} {
				result := here.Verify(now, "REGISTER", sign(MD5, nonce, "1", "secret"), known, 0)
				if result == Right && taken[nonce] {
					t.Fatal("a captured request is let in")
				}
				taken[nonce] = taken[nonce] || result == Right
			}
		}
	})
}
