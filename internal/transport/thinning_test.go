package transport

import (
	"strings"
	"testing"
	"time"
)

// The kernel itself, with a filter and without it again.
func TestThinningByTheKernel(t *testing.T) {
	s := listen(t, []string{"127.0.0.1:0"}, nil)
	reader := s.readers[0]
	for _, other := range s.readers[1:] { // so that all comes to one
		other.conn.Close()
	}
	conn := dial(t, "udp", reader.local.String())
	arrive := func() (came map[byte]int) {
		came = map[byte]int{}
		for range 64 {
			write(t, conn, strings.Repeat("s", 100))
			write(t, conn, strings.Repeat("l", 300))
			write(t, conn, "tny")
			write(t, conn, "SIP/2.0 200 OK")
		}
		for n := 1; n > 0; {
			_ = reader.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			n, _ = reader.receive()
			for i := range n {
				came[reader.in.data(i)[0]]++
			}
			reader.in.clear(n)
		}
		return came
	}
	thin := thinning{with: 300, without: 100}
	for _, test := range []struct {
		share       float64
		least, most int
	}{{0.0001, 0, 5}, {0.5, 10, 54}, {0, 64, 64}} {
		thin.share = test.share
		thin.apply(reader.raw)
		came := arrive()
		if came['l'] != 64 || came['S'] != 64 {
			t.Errorf("share %v: %d long ones and %d answers come through", test.share, came['l'], came['S'])
		}
		for _, short := range "st" {
			if n := came[byte(short)]; n < test.least || n > test.most {
				t.Errorf("share %v: %d of %c come through", test.share, n, short)
			}
		}
	}
}

// What is let through follows what is dropped, and all is let through at last.
func TestThinningFollowsTheLoad(t *testing.T) {
	thin, now := thinning{with: 500, without: 300}, time.Now()
	step := func(steps, read, dropped int) float64 {
		for range steps {
			now = now.Add(thinningStep)
			thin.count(read, dropped, now)
		}
		return thin.share
	}
	if got := step(10, 100, 0); got != 0 {
		t.Errorf("without load %v is let through", got)
	}
	if got := step(2, 100, 80); got != 0.25 {
		t.Errorf("after two steps of overload %v is let through, want 0.25", got)
	}
	if got := step(20, 100, 80); got != 1.0/1024 {
		t.Errorf("after many %v is let through", got)
	}
	if got := step(10, 100, 5); got != 1.0/1024 {
		t.Errorf("where all fits %v is let through", got)
	}
	if got := step(40, 0, 0); got != 0 {
		t.Errorf("when it is over %v is let through", got)
	}
	thin.with = 310
	if got := step(5, 100, 80); got != 0 {
		t.Errorf("where length tells nothing %v is let through", got)
	}
}
