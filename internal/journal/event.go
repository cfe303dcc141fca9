// Package journal takes down what the registrar decided and why.
package journal

import (
	"net/netip"
	"time"

	"sipregd/internal/sipuri"
)

// Event is one decision. Empty fields do not apply. All text may come from
// the network: who shows it has to escape it.
type Event struct {
	Seq       uint64    // of the events of an AOR, that which came later has the higher one; set by Recorder
	Time      time.Time // zero: Recorder sets it
	Kind      Kind
	Reason    Reason
	Source    netip.AddrPort
	Transport string
	Forgeable bool // the source may be a forged one: it is not known that anybody there has sent this
	Authname  string
	Label     string // of the peer, where it proved who it is
	AOR       sipuri.AOR
	Binding   uint64 // ID of the one that is reachable or unreachable; 0 in other events
	Contact   string
	Expires   int64 // seconds granted
	UserAgent string
	CallID    string
	Status    int    // of a refusal's response
	Detail    string // what exactly, for people
}

// CallBy stands in Detail before the method of a request that is no REGISTER.
const CallBy = "by "

// Journal takes events down. It must not block for long, and keep no text of an
// event: those of a request go with it.
type Journal interface {
	Record(Event)
}
