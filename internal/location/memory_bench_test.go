package location

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sipregd/internal/sipuri"
)

// BenchmarkUpdate refreshes bindings in no order, of few AORs and of many.
func BenchmarkUpdate(b *testing.B) {
	for _, count := range []int{1000, 1000000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			m := NewMemory(start)
			aors := make([]sipuri.AOR, count)
			for i := range aors {
				aors[i] = sipuri.AOR{User: fmt.Sprint("phone-", i)}
			}
			now, room := start, make([]Binding, 1)
			refresh := func(aor sipuri.AOR) {
				now = now.Add(time.Millisecond)
				_ = m.Update(aor, now, func(current []Binding) ([]Binding, error) {
					room[0] = usualBinding
					room[0].Changed, room[0].Expires = now, now.Add(time.Hour)
					for i := range current {
						room[0].ID = current[i].ID
					}
					return room, nil
				}, nil)
			}
			for _, aor := range aors {
				refresh(aor)
			}
			b.ReportAllocs()
			at := 0
			for b.Loop() {
				at = (at + 7919) % count // a prime
				refresh(aors[at])
			}
		})
	}
}

var usualBinding = Binding{
	Contact: "sip:2001@192.0.2.7:5060;transport=udp", CallID: "6f1b2a90d3c4e587@192.0.2.7", CSeq: 1826,
	Authname: "7f3a9c", Label: "Kitchen, 1st floor", UserAgent: "Example Phone 2.4.1", Transport: "UDP",
	Source: netip.MustParseAddrPort("192.0.2.7:5060"),
}
