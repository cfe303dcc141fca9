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
	ID        uint64 // its own as long as it lives, and nobody's ever after; 0: not stored yet
	Contact   string // the URI as the phone wrote it
	Params    string // of the Contact header field: ";name=value" repeated, without expires and q
	Q         string // as it was written, empty: none
	CallID    string // of the REGISTER that last changed it
	CSeq      uint32 // likewise
	Expires   time.Time
	Changed   time.Time // when it was added or last refreshed
	Domain    string    // that it was registered in, empty where there is one for all hosts
	Authname  string    // of the peer that made it
	Label     string    // of that peer, then
	UserAgent string
	Transport string
	Source    netip.AddrPort // where the REGISTER came from
	Local     netip.AddrPort // where it came to
	// Stream is the connection that it came on and the phone is reached by. 0: over
	// UDP, or somebody else's, such as a proxy's.
	Stream uint64
	Path   string // values of Path, in order, with commas (RFC 3327)
	NAT    bool   // the phone sits behind NAT: it is reached by its flow alone
	// Node is the name of the node that took the last REGISTER, and has the
	// connection. Empty: there are no other nodes.
	Node string
}

// EarlierStream stands for a connection of an earlier life of the daemon, where no
// more is known of it.
const EarlierStream = 1

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

// IsTo tells whether the binding is to an equal URI (RFC 3261 §19.1.4).
func (b *Binding) IsTo(uri *sipuri.URI) bool {
	own, err := sipuri.Parse(b.Contact)
	return err == nil && own.Equal(*uri)
}

// IsLike tells whether two bindings are to the same Contact of the same phone. Its
// parameters tell phones apart whose URIs are equal, and flows of a phone.
func (b *Binding) IsLike(other *Binding) bool {
	return b.Contact == other.Contact && b.Params == other.Params
}

// Within returns the binding as a clock that says now has it: one that was made
// in what is the future now, since the clock went back, lasts no longer than
// it was granted.
func (b Binding) Within(now time.Time) Binding {
	if b.Changed.After(now) {
		b.Expires = now.Add(b.Expires.Sub(b.Changed))
		b.Changed = now
	}
	return b
}
