package journal

import "fmt"

// Kind is what happened: one of a closed list.
type Kind uint8

// The kinds of events.
const (
	_           Kind = iota
	Added            // a binding
	Refreshed        // a binding
	Removed          // a binding, by its phone, by the administrator or by a change of peers.conf
	Replaced         // a binding, to make room for a newer one
	Expired          // a binding
	Unreachable      // a binding whose phone does not answer any more
	Reachable        // one whose phone answers again
	Listed           // the bindings of an AOR, for a request that changes nothing
	Challenged       // a request without credentials: no failure
	Refused          // a request
	Redirected       // a call, or another request for a phone, to where that is
)

const kinds = Redirected + 1

// kindNames are as they stand in the field "event" of a log line.
var kindNames = [...]string{
	Added: "added", Refreshed: "refreshed", Removed: "removed", Replaced: "replaced", Expired: "expired",
	Unreachable: "unreachable", Reachable: "reachable",
	Listed: "listed", Challenged: "challenged", Refused: "refused",
	Redirected: "redirected",
}

// Kinds returns all kinds.
func Kinds() []Kind {
	var kinds []Kind
	for i := Added; int(i) < len(kindNames); i++ {
		kinds = append(kinds, i)
	}
	return kinds
}

// String returns the name, such as "added".
func (k Kind) String() string { return kindNames[k] }

// MarshalText returns the name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText undoes MarshalText.
func (k *Kind) UnmarshalText(text []byte) error {
	for _, kind := range Kinds() {
		if kind.String() == string(text) {
			*k = kind
			return nil
		}
	}
	return fmt.Errorf("%q is no kind of event", text)
}
