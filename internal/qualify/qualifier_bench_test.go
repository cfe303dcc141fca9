package qualify

import (
	"fmt"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/message"
)

// BenchmarkRefresh is what a REGISTER costs that changes nothing, within its AOR's lock.
func BenchmarkRefresh(b *testing.B) {
	for name, alter := range map[string]func(*location.Binding){
		"behind NAT": func(*location.Binding) {}, "not asked": withoutNAT,
	} {
		b.Run(name, func(b *testing.B) {
			l := newLab(b, "")
			binding := l.bound("2001", alter)
			b.ReportAllocs()
			for b.Loop() {
				l.Bound(l.peer(), aor, &binding, l.now)
			}
		})
	}
}

// BenchmarkAsk is what it costs to ask a phone of 100,000, from its turn to its answer.
func BenchmarkAsk(b *testing.B) {
	l := newLab(b, "")
	for i := range 100_000 {
		l.bound(fmt.Sprint(i))
	}
	l.Qualifier.Send = func(_ message.Flow, data []byte) error {
		l.sent = append(l.sent[:0], sent{})
		l.answer(string(data), l.now.Add(time.Millisecond))
		return nil
	}
	b.ReportAllocs()
	asked := uint64(0)
	for b.Loop() {
		for asked == l.Counts().Asked { // a step asks some hundred
			l.wait(tick)
		}
		asked++
	}
}
