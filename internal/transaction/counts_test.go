package transaction

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"sipregd/internal/message"
)

func TestCountsOfWhatIsAnswered(t *testing.T) {
	request := register("z9hG4bK1", "c")
	invite := bytes.ReplaceAll(unauthenticated("REGISTER"), []byte("REGISTER"), []byte("INVITE"))
	tests := []struct {
		name     string
		messages [][]byte
		want     Counts
	}{
		{"nothing", nil, Counts{}},
		{"registrations", [][]byte{request, register("z9hG4bK2", "d")}, Counts{Answered: []Answered{{"REGISTER", 200, 2}}, Transactions: 2}},
		{"retransmission", [][]byte{request, request, request}, Counts{Answered: []Answered{{"REGISTER", 200, 1}}, Retransmissions: 2, Transactions: 1}},
		{"another way", [][]byte{request, register("z9hG4bK2", "c")},
			Counts{Answered: []Answered{{"REGISTER", 200, 1}, {"REGISTER", 482, 1}}, Transactions: 1}},
		{"malformed", [][]byte{unauthenticated("REGISTER", "Contact: <")}, Counts{Answered: []Answered{{"REGISTER", 400, 1}}}},
		{"OPTIONS", [][]byte{unauthenticated("OPTIONS")}, Counts{Answered: []Answered{{"OPTIONS", 200, 1}}}},
		{"ACK, one malformed", [][]byte{unauthenticated("ACK"), unauthenticated("ACK", "Contact: <")}, Counts{Answered: []Answered{{"ACK", 0, 2}}}},
		{"CANCEL", [][]byte{cancelOf(request), request, cancelOf(request)},
			Counts{Answered: []Answered{{"REGISTER", 200, 1}, {"CANCEL", 200, 1}, {"CANCEL", 481, 1}}, Transactions: 1}},
		{"INVITE", [][]byte{invite}, Counts{Answered: []Answered{{"INVITE", 200, 1}}, Transactions: 1}},
		{"other methods", [][]byte{unauthenticated("register"), unauthenticated("Z")}, Counts{Answered: []Answered{{"other", 200, 2}}}},
		{"no requests", [][]byte{[]byte("\r\n\r\n"), []byte("SIP/2.0 200 OK\r\n\r\n"), {0, 1}}, Counts{Ignored: 3}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := NewLayer(&core{}, 64<<20)
			for _, data := range test.messages {
				l.Receive(nil, data, udp, start)
			}
			got := l.Counts(start)
			if (got.Bytes > 0) != (test.want.Transactions > 0) {
				t.Errorf("%d transactions take %d bytes", got.Transactions, got.Bytes)
			}
			if got.Bytes = 0; fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestCountsOfWhatCannotBeFramedOrStored(t *testing.T) {
	l := NewLayer(&core{}, 64<<20)
	l.Refuse(unauthenticated("REGISTER"), tcp, &message.Error{Status: 513, Reason: "Message Over 65535 Bytes"})
	l.Refuse([]byte("GET / HTTP/1.1\r\n\r\n"), tcp, &message.Error{Status: 400, Reason: "x"})
	l.NotStored(register("z9hG4bK1", "c"), udp, start)
	got := l.Counts(start)
	if want := []Answered{{"REGISTER", 503, 1}, {"REGISTER", 513, 1}}; !slices.Equal(got.Answered, want) || got.Ignored != 1 {
		t.Errorf("got %+v, want %v and one ignored", got, want)
	}
}

// A transaction is in memory as long as it lasts, and no longer counted then, though
// nothing comes that would make it go.
func TestCountsOfTransactions(t *testing.T) {
	c := &core{hold: make(chan struct{}), entered: make(chan struct{})}
	l := NewLayer(c, 64<<20)
	done := make(chan Reply)
	go func() { done <- l.Receive(nil, register("z9hG4bK1", "c"), udp, start) }()
	<-c.entered
	l.Receive(nil, register("z9hG4bK1", "c"), udp, start) // is dropped
	if got := l.Counts(start); got.Transactions != 1 || got.Retransmissions != 1 || len(got.Answered) != 0 {
		t.Errorf("under way: %+v", got)
	}
	close(c.hold)
	<-done
	if got := l.Counts(start.Add(timerJ - 1)); got.Transactions != 1 {
		t.Errorf("before Timer J fires: %+v", got)
	}
	if got := l.Counts(start.Add(timerJ)); got.Transactions != 0 || got.Evicted != 0 {
		t.Errorf("after it: %+v", got)
	}
}

func TestCountsOfTransactionsThatMadeRoom(t *testing.T) {
	l := NewLayer(&core{}, 256<<10)
	const count = 3000
	for i := range count {
		l.Receive(nil, register(fmt.Sprint("z9hG4bK", i), fmt.Sprint(i)), udp, start)
	}
	got := l.Counts(start)
	if got.Evicted == 0 || got.Evicted+uint64(got.Transactions) != count || got.Bytes > 256<<10 {
		t.Errorf("of %d: %+v", count, got)
	}
}

// BenchmarkCount is what it costs each request to be counted, where all processors
// count the same.
func BenchmarkCount(b *testing.B) {
	var c counters
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.countAnswer("REGISTER", 200)
		}
	})
}
