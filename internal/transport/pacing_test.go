package transport

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestComesFast(t *testing.T) {
	for _, test := range []struct {
		name string
		n    int
		gap  time.Duration // since the batch before
		want bool
	}{
		{"one after a long time", 1, time.Second, false},
		{"ten a second apart", 10, time.Second, false},
		{"one, and another soon after", 1, 20 * time.Microsecond, true},
		{"seven within the time of a batch", 7, 300 * time.Microsecond, true},
		{"nothing", 0, 20 * time.Microsecond, false},
		{"a large batch, which is cheap as it is", few, 300 * time.Microsecond, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := time.Now()
			p := pacing{taken: now.Add(-test.gap)}
			if got := p.comesFast(test.n, now); got != test.want || p.taken != now {
				t.Errorf("got %v", got)
			}
		})
	}
}

// On one processor a reader that never rests would keep streams waiting.
func TestStreamsAreLetOn(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	stream, far := os.NewFile(uintptr(ends[0]), "stream"), os.NewFile(uintptr(ends[1]), "far end")
	defer stream.Close()
	defer far.Close()
	p, err := newPacing()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	var reads atomic.Int64
	go func() {
		for buffer := make([]byte, 1); ; reads.Add(1) {
			if _, err := stream.Read(buffer); err != nil {
				return
			}
		}
	}()
	for now, i := time.Now(), int64(1); i <= 20; i++ {
		if _, err := unix.Write(ends[1], []byte("x")); err != nil {
			t.Fatal(err)
		}
		now = now.Add(pollGap)
		p.letOthersOn(now)
		for range 10 { // by itself that makes nobody look at the stream
			runtime.Gosched()
		}
		if got := reads.Load(); got != i {
			t.Fatalf("%d of %d bytes were read by others", got, i)
		}
		p.letOthersOn(now) // which is too soon
	}
}
