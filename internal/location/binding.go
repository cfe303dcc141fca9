// Package location is the location service of RFC 3261 §10: which Contacts an
// address-of-record is bound to, and until when.
package location

import (
	"net/netip"
	"time"

	"sipregd/internal/sipuri"
)

// Binding binds an address-of-record to one Contact.
type Binding struct {
	URI       sipuri.URI // of the Contact, parsed
	Contact   string     // the URI as the phone wrote it
	Params    string     // of the Contact header field: ";name=value" repeated, without expires and q
	Q         string     // as it was written, empty: none
	CallID    string     // of the REGISTER that last changed it
	CSeq      uint32     // likewise
	Expires   time.Time
	Changed   time.Time // when it was added or last refreshed
	Domain    string    // that it was registered in, empty where there is one for all hosts
	Authname  string    // of the peer that made it
	Label     string    // of that peer, then
	UserAgent string
	Transport string
	Source    netip.AddrPort // where the REGISTER came from
}

// Entry is a binding and what it is bound to.
type Entry struct {
	AOR     sipuri.AOR
	Binding Binding
}

// Remaining returns the seconds until the binding expires, rounded up.
func (b *Binding) Remaining(now time.Time) int64 {
	left := b.Expires.Sub(now)
	return int64((left + time.Second - 1) / time.Second)
}
