// Package shared keeps bindings in Redis or Valkey for many nodes at once: any
// phone may register at any of them, and none of them owns an AOR.
//
// What an AOR is bound to is one hash, which others may read:
//
//	key   b:{2001@example.com}
//	v     1732644616123456-k3j2h1g0    its version, unlike any other ever
//	r     …                            the nonces used last, see below
//	<ID>  1732648216123 {"contact":…}  a binding
//
// The key holds the AOR in braces, which keep the hash of an AOR in one slot of a
// Cluster: its user part, and @ and its domain where it has one. Of both, what is no
// letter, digit or one of -_.!~*'()+&=$,;:?/[]#^| is written as %HH.
//
// A binding stands under its ID, a decimal number: when it expires, in ms since 1970
// by Redis's own clock, a space, and a JSON object with the keys of record in
// binding.go, without those that are empty. One that has expired is none, though it may
// stand there for a while: the hash itself expires half a minute after its last
// binding, so that the node that took a binding can tell that it ended.
//
// r says until when it has to be kept (in ms since 1970), up to when nonces were
// forgotten, and of those used last their number, time of issue, and highest count:
// "1732644916123 0 1f:1732644610:3". It outlives the bindings.
//
// A change is one script, which compares v with what the node has seen and writes
// nothing where another node was quicker.
//
// The secrets that nodes share are strings, k:<name>, in hexadecimal; k:probe… is
// written to see whether Redis takes writes.
package shared

import (
	"context"
	"errors"
	"iter"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// Options say how a store is run.
type Options struct {
	// URL names the server, see parse in url.go:
	// redis://name:password@host:6379/0, rediss:// for TLS, unix:///path/of/socket.
	URL      string
	Node     string // name of this node, unlike that of any other
	Observer Observer
	// Timeout bounds how long a change may take; 0: 500 ms.
	Timeout time.Duration
	// NonceLifetime is how long a nonce may be used, and so how long its uses are
	// remembered at least; 0: 5 minutes.
	NonceLifetime time.Duration
	// Remembered bounds the AORs of which this node keeps what it saw last; 0: 1,000,000.
	Remembered int
}

// Observer is told what happens to a store. Its methods must not block.
type Observer interface {
	// NotDurable is called when Redis is away, and every few seconds while that
	// lasts. No AOR's bindings wait to be saved.
	NotDurable(cause error, aors int)
	Durable(after time.Duration)
	// Committed is called once the bindings of that many AORs are in Redis.
	Committed(took time.Duration, aors int)
	// Trouble is called for what is got over without a change that fails.
	Trouble(error)
}

// Store keeps bindings in Redis. It may be used by many goroutines at once: what
// they do at once shares a pipeline.
type Store struct{}

var _ location.Store = (*Store)(nil)

// Open returns a store. Where Redis is away it is one that is away, and heals once
// Redis is there. It fails where the URL or what it names is no good.
func Open(options Options) (*Store, error) { return nil, errors.New("not yet") }

// Close ends the connections. No change must be made any more.
func (s *Store) Close() error { return nil }

// Begin has nothing to mark: what Update has changed is in Redis.
func (s *Store) Begin() location.Mark { return 0 }

// Commit has nothing to wait for.
func (s *Store) Commit(location.Mark) error { return nil }

// Update is location.Store's. It fails with location.ErrNotDurable where Redis does
// not answer in time; then the change may have been made all the same.
func (s *Store) Update(aor sipuri.AOR, now time.Time, change func(current []location.Binding) ([]location.Binding, error),
	made func(expired []location.Binding)) error {
	return location.ErrNotDurable
}

// UpdateProved is Update for a request that a nonce has proved. It fails with
// location.ErrReplayed where that nonce was used with that or a higher count before.
func (s *Store) UpdateProved(aor sipuri.AOR, now time.Time, use location.Use,
	change func(current []location.Binding) ([]location.Binding, error), made func(expired []location.Binding)) error {
	return location.ErrNotDurable
}

// Bindings returns what an AOR is bound to at that time: by Redis, or, while it is
// away, by what this node saw last.
func (s *Store) Bindings(aor sipuri.AOR, now time.Time) []location.Binding { return nil }

// Lookup is Bindings, and tells whether that is what this node saw last alone.
func (s *Store) Lookup(aor sipuri.AOR, now time.Time) (bindings []location.Binding, stale bool) {
	return nil, true
}

// Stale tells whether Redis is away, so that Bindings and All return what this node
// saw last.
func (s *Store) Stale() bool { return true }

// All yields the AORs in Redis, or, while it is away, those that this node saw last.
func (s *Store) All() iter.Seq2[sipuri.AOR, []location.Binding] {
	return func(func(sipuri.AOR, []location.Binding) bool) {}
}

// Count counts what this node has seen last.
func (s *Store) Count() (aors, bindings int) { return 0, 0 }

// RemoveIf removes those bindings that this node took and that unwanted picks.
func (s *Store) RemoveIf(unwanted func(sipuri.AOR, *location.Binding) bool, ended location.Ended) {}

// Expire removes those bindings that this node took and that have expired. It does not
// wait for Redis.
func (s *Store) Expire(now time.Time, ended location.Ended) {}

// Secret returns a secret that all nodes share: that under this name, which is fresh
// where there was none. It waits for Redis until ctx ends.
func (s *Store) Secret(ctx context.Context, name string, fresh [32]byte) ([32]byte, error) {
	return [32]byte{}, location.ErrNotDurable
}

// Numbers counts what a store has done.
type Numbers struct {
	Operations uint64 // scripts that were run
	Conflicts  uint64 // changes that were run again, as another node was quicker
	Errors     uint64 // operations that failed
	Replayed   uint64 // changes that were refused with location.ErrReplayed
}

// Numbers returns what the store has done up to now.
func (s *Store) Numbers() Numbers { return Numbers{} }

// Status is how a store does.
type Status struct {
	Failure error     // why Redis is away; nil: it is not
	Since   time.Time // when that began
}

// Status returns how the store does.
func (s *Store) Status() Status { return Status{} }
