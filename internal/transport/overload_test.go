package transport

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// first returns the first numbers.
func first(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}

func TestOverloadPicks(t *testing.T) {
	const size = 64
	start := time.Now()
	full := func(o *overload, batches int, pause time.Duration) {
		for i := range batches {
			o.see(true, size, start.Add(time.Duration(i)*pause))
		}
	}
	half := make([][]byte, size) // of them with credentials
	for i := range half {
		half[i] = []byte("REGISTER sip:r SIP/2.0\r\n")
		if i%2 == 1 {
			half[i] = append(half[i], "Authorization: Digest\r\n"...)
		}
	}
	tests := []struct {
		name   string
		before func(o *overload)
		want   int // how many of the half without credentials are handled
	}{
		{"no overload", func(*overload) {}, 32},
		{"a burst", func(o *overload) { full(o, 50, time.Millisecond) }, 32},
		{"a full queue for too long", func(o *overload) { full(o, 101, time.Millisecond) }, 32},
		{"and longer", func(o *overload) { full(o, 104, time.Millisecond) }, 16},
		{"never none", func(o *overload) { full(o, 1000, time.Millisecond) }, 16},
		{"over at last", func(o *overload) {
			full(o, 1000, time.Millisecond)
			for range 10 {
				o.see(false, size, start)
			}
		}, 32},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var o overload
			test.before(&o)
			picked, _ := o.pick(first(size), make([]bool, size), func(i int) []byte { return half[i] })
			picked = slices.Clone(picked)
			with := 0
			for at, i := range picked {
				if hasCredentials(half[i]) {
					with++
					if o.admitted > 0 && at >= size/2 {
						t.Errorf("number %d has credentials and comes %dth", i, at+1)
					}
				}
			}
			if with != size/2 || len(picked)-with != test.want {
				t.Errorf("%d with credentials and %d without are handled, want %d and %d", with, len(picked)-with, size/2, test.want)
			}
			slices.Sort(picked)
			if len(slices.Compact(picked)) != with+test.want {
				t.Error("one is handled twice")
			}
		})
	}
}

// Of those without credentials known sources go before strangers, wherever they stand, and
// they alone are a cause for the kernel to thin out what comes.
func TestOverloadPicksKnownSourcesFirst(t *testing.T) {
	const size = 64
	for _, test := range []struct {
		known, wantKnown, wantStrangers, wantLeftOut int
	}{{0, 0, 16, 0}, {5, 5, 11, 0}, {16, 16, 0, 0}, {20, 16, 0, 4}, {size, 16, 0, size - 16}} {
		o, known := overload{admitted: leastAdmitted}, make([]bool, size)
		for i := range test.known {
			known[size-1-i] = true
		}
		picked, leftOut := o.pick(first(size), known, func(int) []byte { return []byte("REGISTER sip:r SIP/2.0\r\n\r\n") })
		phones := 0
		for _, i := range picked {
			if known[i] {
				phones++
			}
		}
		if phones != test.wantKnown || len(picked)-phones != test.wantStrangers || leftOut != test.wantLeftOut {
			t.Errorf("of %d known ones and strangers %d and %d are handled, %d known ones left out; want %d, %d, %d", test.known,
				phones, len(picked)-phones, leftOut, test.wantKnown, test.wantStrangers, test.wantLeftOut)
		}
	}
}

// A phone whose answer is dropped would seem to be gone.
func TestOverloadDropsNoAnswer(t *testing.T) {
	o := overload{admitted: leastAdmitted}
	batch := func(i int) []byte {
		if i%2 == 0 {
			return []byte("SIP/2.0 200 OK\r\n")
		}
		return []byte("REGISTER sip:r SIP/2.0\r\n")
	}
	answers := 0
	picked, _ := o.pick(first(64), make([]bool, 64), batch)
	for _, i := range picked {
		if i%2 == 0 {
			answers++
		}
	}
	if answers != 32 || len(picked) != 32+leastAdmitted {
		t.Errorf("%d answers are handled and %d others", answers, len(picked)-answers)
	}
}

// However little the kernel keeps: most Linux machines grant 208 KB.
func TestIsHalfFull(t *testing.T) {
	for _, size := range []int{receiveBacklog, 212992} {
		s := listen(t, []string{"127.0.0.1:0"}, nil) // nothing is read
		reader := s.readers[0]
		for _, other := range s.readers[1:] { // so that all comes to one
			other.conn.Close()
		}
		if err := reader.conn.SetReadBuffer(size); err != nil {
			t.Fatal(err)
		}
		conn := dial(t, "udp", reader.local.String())
		for range 20_000 {
			write(t, conn, strings.Repeat("x", 500))
		}
		if n, err := reader.receive(); n == 0 || err != nil || !reader.crowded {
			t.Errorf("%d bytes are kept: half full %v, %d datagrams, %v", size, reader.crowded, n, err)
		}
		for reader.crowded {
			_ = reader.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			_, _ = reader.receive()
		}
	}
}

// Keepalives are no measure of how long a request without credentials is: the kernel
// would take all requests for longer ones. Nor are answers, which may be as long as a
// request with credentials: it would tell nothing by length any more.
func TestOverloadLearnsFromRequestsAlone(t *testing.T) {
	stun := "\x00\x01\x00\x00\x21\x12\xa4\x42" + strings.Repeat("x", 12)
	answer := "SIP/2.0 200 OK\r\n" + strings.Repeat("x", 800)
	for _, other := range []string{"", "\x00", "\r\n\r\n", stun, stun + "uthorization:", answer, answer + "Authorization: "} {
		batch := [][]byte{
			[]byte("REGISTER sip:r SIP/2.0\r\n" + strings.Repeat("x", 400)),
			[]byte("REGISTER sip:r SIP/2.0\r\nAuthorization: " + strings.Repeat("x", 700)),
		}
		of := func(batch [][]byte) (o overload) {
			for range 200 {
				o.admitted = leastAdmitted
				o.pick(first(len(batch)), make([]bool, len(batch)), func(i int) []byte { return batch[i] })
			}
			return o
		}
		without, with := of(batch), of(append(batch, []byte(other)))
		if got, want := with.thinning.length(), without.thinning.length(); got != want {
			t.Errorf("%.30q: requests that are let through have %d bytes, without it %d", other, got, want)
		}
	}
}
