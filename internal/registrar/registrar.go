// Package registrar decides: RFC 3261 §10.3 step by step, with the rules for
// any UAS (§8.2) around it. It knows no socket, no file and no clock.
package registrar

import (
	"iter"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"sipregd/internal/digest"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

// Location is the location service that the registrar writes to.
type Location interface {
	// Update shows change the current bindings of an AOR and stores what it
	// returns, as one step. After an error all is as before, but where others share
	// the bindings: there location.ErrNotDurable says that it is not known. Else made
	// is called within that step, with what had expired. Neither keeps a slice that it is
	// given. The texts of all lists, and the AOR's, are good until Update returns:
	// who keeps any copies it. change may run again, and what came of its last run
	// alone counts; made runs once.
	Update(aor sipuri.AOR, now time.Time, change func(current []location.Binding) ([]location.Binding, error),
		made func(expired []location.Binding)) error
	// Bindings returns what an AOR is bound to at that time.
	Bindings(aor sipuri.AOR, now time.Time) []location.Binding
	// All yields the AORs and what each is bound to, in no order and not of one moment.
	// The slice is good until the next one is yielded.
	All() iter.Seq2[sipuri.AOR, []location.Binding]
	// RemoveIf removes the bindings that unwanted picks. ended is told of each within
	// that step.
	RemoveIf(unwanted func(sipuri.AOR, *location.Binding) bool, ended location.Ended)
}

// Qualifier asks the phones of bindings whether they are there.
type Qualifier interface {
	// Bound is told of a binding that a peer has added or refreshed, before anything
	// else can happen to its AOR. It must not use the location service, nor keep a text
	// that it is given.
	Bound(peer *peers.Peer, aor sipuri.AOR, b *location.Binding, now time.Time)
	// Unreachable tells whether the phone of the binding of that ID was asked and is
	// not there.
	Unreachable(id uint64) bool
}

// Guard is told what becomes of credentials, and says when to look at none.
type Guard interface {
	// HasFailed tells whether credentials from an address may have proved nothing lately.
	// If so, MayTry is asked.
	HasFailed(address netip.Addr, now time.Time) bool
	// MayTry tells whether credentials for an authname from an address are looked at.
	// reached: it is sure that they come from there. Whether anybody has that authname
	// must play no part in what Guard does.
	MayTry(address netip.Addr, authname string, reached bool, now time.Time) bool
	// Failed is told of credentials that prove nothing.
	Failed(address netip.Addr, authname string, reached bool, now time.Time)
	// Proved is told that a peer has proved itself.
	Proved(address netip.Addr, now time.Time)
}

// Registrar answers requests. It may be used by many goroutines at once.
type Registrar struct {
	domains       peers.Domains
	directory     atomic.Pointer[peers.Directory]
	authenticator *digest.Authenticator
	location      Location
	others        others
	journal       journal.Journal
	flows         flows
	gruus         atomic.Pointer[gruus]
	here          Here
	aors          boundAORs

	disconnectGrace time.Duration
	serviceRoute    string
	flowTimer       int // seconds
	shorten         func(now time.Time) float64
	retryAfter      func() int
	allowed         string

	qualifier     Qualifier // nil: nobody asks
	guard         Guard     // nil: all credentials are looked at
	registrations sync.Pool // of *registration, for their memory
	date          atomic.Pointer[date]
}

// Options are what New needs.
type Options struct {
	Domains       peers.Domains
	Directory     *peers.Directory
	Authenticator *digest.Authenticator
	Location      Location
	Journal       journal.Journal
	// DisconnectGrace is how long a binding outlives the connection that it was made
	// over.
	DisconnectGrace time.Duration
	ServiceRoute    string   // values of Service-Route (RFC 3608) for phones, empty: none
	FlowTimer       int      // seconds that a flow may be silent (RFC 5626 §4.4), 0: nothing is said of that
	GRUUKey         [32]byte // which stays the same as long as bindings do
	Here            Here
	Others          Others
	// Shorten returns which part of the time that is asked for is not granted, so that
	// phones come again at different times. nil: all is granted.
	Shorten func(now time.Time) float64
	// RetryAfter returns in how many seconds a phone is to try again for which nothing can
	// be stored just now, so that not all come back at once. nil: in 10.
	RetryAfter func() int
}

// date is a second as the Date header field has it (RFC 3261 §20.17).
type date struct {
	second int64
	text   string
}

const usualRetryAfter = 10 // seconds

// New returns a registrar.
func New(o Options) *Registrar {
	r := &Registrar{
		domains: o.Domains, authenticator: o.Authenticator, location: o.Location, journal: o.Journal,
		disconnectGrace: o.DisconnectGrace, serviceRoute: o.ServiceRoute, flowTimer: o.FlowTimer,
		here: o.Here, allowed: allowed, others: newOthers(&o), shorten: o.Shorten, retryAfter: o.RetryAfter,
	}
	if r.retryAfter == nil {
		r.retryAfter = func() int { return usualRetryAfter }
	}
	r.ShareGRUUs(o.GRUUKey)
	r.aors.forget()
	r.flows.bound = map[uint64]*flow{}
	r.directory.Store(o.Directory)
	r.registrations.New = func() any { return newRegistration(r) }
	return r
}

// QualifiedBy has a qualifier told of bindings. It is to be called before any request is
// answered, and returns the registrar.
func (r *Registrar) QualifiedBy(q Qualifier) *Registrar {
	r.qualifier = q
	return r
}

// GuardedBy has a guard told of credentials. It is to be called before any request is
// answered, and returns the registrar.
func (r *Registrar) GuardedBy(guard Guard) *Registrar {
	r.guard = guard
	return r
}

// dateOf writes a time out, once for all requests of a second.
func (r *Registrar) dateOf(now time.Time) string {
	d := r.date.Load()
	if d == nil || d.second != now.Unix() {
		d = &date{now.Unix(), now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
		r.date.Store(d)
	}
	return d.text
}

// Directory returns the peers of today.
func (r *Registrar) Directory() *peers.Directory { return r.directory.Load() }

// Reload takes other peers from now on and removes the bindings of those that
// are gone, re-keyed or have lost the AOR. A request under way while it
// happens is judged by the new peers or its binding is removed with the rest.
func (r *Registrar) Reload(next *peers.Directory, clock func() time.Time) {
	last := r.Take(next)
	r.EndSince(last, clock())
}

// Take is Reload without its end, and returns the peers up to now: EndSince is to be
// called with them, and with a time that comes after.
func (r *Registrar) Take(next *peers.Directory) (last *peers.Directory) {
	last = r.directory.Swap(next)
	r.aors.forget()
	return last
}

// EndSince removes the bindings of those peers that were in an earlier directory, and are
// gone, re-keyed or have lost the AOR by now, and of those that never were. What was
// registered after that time was judged by the peers of today: it stays.
func (r *Registrar) EndSince(last *peers.Directory, taken time.Time) {
	next := r.directory.Load()
	r.location.RemoveIf(func(aor sipuri.AOR, b *location.Binding) bool {
		return !b.Changed.After(taken) && next.WhatEnds(last, b.Domain, b.Authname, aor) != ""
	}, func(aor sipuri.AOR, b *location.Binding) {
		event := bindingEvent(journal.Removed, journal.ByConfiguration, aor, b)
		event.Detail = next.WhatEnds(last, b.Domain, b.Authname, aor)
		r.journal.Record(event)
	})
}

// Leftover returns the event that ends a binding of an earlier life of the
// daemon, where it is of no use any more: it has expired, or its peer is gone.
func Leftover(directory *peers.Directory, entry location.Entry, now time.Time) (event journal.Event, ends bool) {
	b := &entry.Binding
	switch {
	case !b.Expires.After(now):
		return bindingEvent(journal.Expired, journal.NoLongerRefreshed, entry.AOR, b), true
	case !directory.Binds(b.Domain, b.Authname, entry.AOR):
		return bindingEvent(journal.Removed, journal.ByConfiguration, entry.AOR, b), true
	}
	return journal.Event{}, false
}

// bindingEvent says that something happened to a binding.
func bindingEvent(kind journal.Kind, reason journal.Reason, aor sipuri.AOR, b *location.Binding) journal.Event {
	return journal.Event{
		Kind: kind, Reason: reason, Source: b.Source, Transport: b.Transport,
		Authname: b.Authname, Label: b.Label, AOR: aor, Contact: b.Contact,
		CallID: b.CallID, UserAgent: b.UserAgent,
	}
}

// Expired takes down that a binding was not refreshed in time.
func (r *Registrar) Expired(aor sipuri.AOR, b *location.Binding) {
	r.journal.Record(bindingEvent(journal.Expired, journal.NoLongerRefreshed, aor, b))
}
