package shared

import (
	"net/netip"
	"testing"
	"time"

	"sipregd/internal/location"
)

// FuzzRecord reads arbitrary fields. What is a binding is the same once it is written
// again.
func FuzzRecord(f *testing.F) {
	b := location.Binding{
		Contact: "sip:a@192.0.2.7", Params: ";x", Q: "0.5", CallID: "c", CSeq: 1, Authname: "a", Label: "A<&>", Transport: "TCP",
		Source: netip.MustParseAddrPort("[fe80::1%x]:5060"), Path: "<sip:p;lr>", Stream: 1 << 63, NAT: true, Node: "one",
	}
	f.Add("17", "1732648216123 "+encode(&b, time.UnixMilli(1732644616123)))
	f.Add("17", "1732648216123 {\"contact\":\"\\ud800\"}")
	f.Add("r", "")
	f.Fuzz(func(t *testing.T, field, value string) {
		b, err := decode(field, value)
		if err != nil {
			return
		}
		again, err := decode(field, "1 "+encode(&b, b.Changed))
		again.Expires = b.Expires
		if err != nil || again != b {
			t.Errorf("%+v is written as %+v, %v", b, again, err)
		}
	})
}
