package location

import (
	"errors"
	"iter"
	"time"

	"sipregd/internal/sipuri"
)

// ErrNotDurable says that a change cannot be made to last, and was not made. Of a store
// that nodes share it says that no answer came in time: it may have been made.
var ErrNotDurable = errors.New("the bindings cannot be saved")

// ErrReplayed says that what proved a request has proved another one before, on
// whatever node, and that nothing was changed.
var ErrReplayed = errors.New("the credentials were used before")

// ErrAsItWas is what a change returns that only looks at the bindings. They may be
// those that a node has seen last.
var ErrAsItWas = errors.New("nothing is changed")

// Use is what proved a request: the use of a nonce (RFC 7616 §3.4).
type Use struct {
	Issued uint32 // when the nonce was given out, in seconds of the clock of the node that did
	Number uint64 // of the nonce, unlike that of any other one issued in that second
	Count  uint32 // nonce count
}

// Mark is a moment in the life of a store.
type Mark uint64

// Store is a location service. It may be used by many goroutines at once.
type Store interface {
	// Update shows change the current bindings of an AOR and stores what it
	// returns, as one step. After an error all is as before, or that is not known
	// (ErrNotDurable of a store that nodes share); else made is called
	// within that step, with what had expired. Texts that they are given, and the
	// AOR's, need be good no longer than they run. change may be run again, with
	// other bindings, where another node was quicker: what came of the last run
	// alone counts. made runs once.
	Update(aor sipuri.AOR, now time.Time, change func(current []Binding) ([]Binding, error), made func(expired []Binding)) error
	// Bindings returns what an AOR is bound to at that time.
	Bindings(aor sipuri.AOR, now time.Time) []Binding
	// All yields the AORs and what each is bound to, in no order and not of one
	// moment.
	All() iter.Seq2[sipuri.AOR, []Binding]
	// RemoveIf removes the bindings that unwanted picks.
	RemoveIf(unwanted func(sipuri.AOR, *Binding) bool, ended Ended)
	// Expire removes what has expired at now.
	Expire(now time.Time, ended Ended)
	// Count returns how many AORs are bound, and to how many Contacts in all.
	Count() (aors, bindings int)

	// Begin returns the mark to give to Commit after the changes that have to
	// last.
	Begin() Mark
	// Commit returns when what was changed since the mark lasts, or cannot be
	// made to. ErrNotDurable: it was undone.
	Commit(since Mark) error
}

// Begin has nothing to mark: nothing that is kept in memory alone lasts.
func (m *Memory) Begin() Mark { return 0 }

// Commit has nothing to wait for.
func (m *Memory) Commit(Mark) error { return nil }
