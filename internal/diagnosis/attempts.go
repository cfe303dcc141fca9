// Package diagnosis tells from recent events and the peers why a phone is not
// registered: the cause, and what cures it, in sentences for the administrator.
package diagnosis

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

const (
	// answerTime is how long a phone may take to answer a challenge: then it will not,
	// as most try again at once.
	answerTime = 5 * time.Second

	// staleLoop is how many stale nonces in a row are a loop.
	staleLoop = 3
)

// Attempt is what a phone tried, and what became of it.
type Attempt struct {
	Event  journal.Event // the last one
	Times  int           // in a row for the same reason
	Failed bool
	Cause  string // a sentence
	Cure   string // some sentences; empty: nothing is to be done
	Where  string // file:line of the peer that it is about, empty where there is none
}

// phone is what tells one phone from another.
type phone struct {
	source   netip.Addr
	aor      sipuri.AOR
	authname string
}

func phoneOf(e *journal.Event) phone { return phone{e.Source.Addr(), e.AOR, e.Authname} }

// Attempts returns what the events tell that are asked for, the latest first, as they
// have to be given; the others tell what came of them. What phones get over by
// themselves is left out, and so is what may be under way still.
func Attempts(events []journal.Event, asked func(*journal.Event) bool, directory *peers.Directory, now time.Time) (attempts []Attempt, underWay bool) {
	last := map[phone]int{} // the place of the earliest attempt of each phone so far
	ends := endings{}
	for i := range events {
		e := &events[i]
		isNews := ends.leaveOpen(e)
		ends.take(e)
		if !isNews || !asked(e) {
			continue
		}
		if e.Kind == journal.Challenged && mayFollow(e, now) {
			underWay = true
			continue
		}
		if at, known := last[phoneOf(e)]; known && isSame(&attempts[at].Event, e) {
			attempts[at].Times++
			continue
		}
		last[phoneOf(e)] = len(attempts)
		attempts = append(attempts, Attempt{Event: *e, Times: 1})
	}
	all := len(attempts)
	attempts = slices.DeleteFunc(attempts, func(a Attempt) bool { return a.isUnderWay(now) })
	return explained(attempts, directory), underWay || len(attempts) < all
}

// Settle takes down that what has failed is over by now.
func (a *Attempt) Settle() {
	a.Failed, a.Cure = false, ""
	switch {
	case a.Event.Reason == journal.Banned:
		a.Cause = fmt.Sprintf("Nothing that the phone sent was read, since %s was banned. That is over.", bannedNetwork(&a.Event))
	case a.Event.Reason == journal.TooManyRequests:
		a.Cause += " That is over."
	case a.Event.Kind == journal.Unreachable:
		a.Cause = fmt.Sprintf("The phone at %s could not be reached. That is over.", shown(a.Event.Contact))
	default:
		a.Cause += " It has registered again since."
	}
}

// endings holds what came of the requests of a Call-ID: None if the phone got
// through, else why the last one was refused. Where there is none, nothing followed.
type endings map[string]journal.Reason

func (ends endings) take(e *journal.Event) {
	_, known := ends[e.CallID]
	switch {
	case e.CallID == "":
	case isSuccess(e):
		ends[e.CallID] = journal.None
	case e.Kind == journal.Refused && !known:
		ends[e.CallID] = e.Reason
	}
}

// isSuccess tells whether a phone got what it asked for.
func isSuccess(e *journal.Event) bool {
	switch e.Kind {
	case journal.Added, journal.Refreshed, journal.Listed, journal.Redirected:
		return true
	case journal.Removed:
		return e.Reason == journal.ByPhone
	}
	return false
}

// leaveOpen tells whether an event is news, by what has followed it.
func (ends endings) leaveOpen(e *journal.Event) bool {
	end, followed := ends[e.CallID]
	switch {
	case e.Kind == journal.Listed:
		return false
	case e.Kind == journal.Challenged:
		return !followed
	case retriesItself(e.Reason):
		return !followed || isAlike(end, e.Reason)
	}
	return true
}

// retriesItself tells whether a sound phone tries again at once, and then gets
// through.
func retriesItself(r journal.Reason) bool { return isStale(r) || r == journal.ExpiryTooBrief }

func isStale(r journal.Reason) bool { return r == journal.StaleNonce || r == journal.Replay }

func isAlike(a, b journal.Reason) bool { return a == b || isStale(a) && isStale(b) }

// isSame tells whether two events of a phone are one attempt: a binding that is
// refreshed is as good as one that is added.
func isSame(a, b *journal.Event) bool {
	isBound := func(e *journal.Event) bool { return e.Kind == journal.Added || e.Kind == journal.Refreshed }
	if a.Reason == journal.Malformed && a.Detail != b.Detail {
		return false
	}
	return a.Kind == b.Kind && isAlike(a.Reason, b.Reason) || isBound(a) && isBound(b)
}

// isUnderWay tells whether the phone may still be about to try again.
func (a *Attempt) isUnderWay(now time.Time) bool {
	return retriesItself(a.Event.Reason) && a.Times < staleLoop && mayFollow(&a.Event, now)
}

// mayFollow tells whether the phone may still be about to answer.
func mayFollow(e *journal.Event, now time.Time) bool { return now.Sub(e.Time) <= answerTime }

// explained adds cause and cure to each.
func explained(attempts []Attempt, directory *peers.Directory) []Attempt {
	names := newNames(directory)
	for i := range attempts {
		a := &attempts[i]
		peer := names.peerOf(&a.Event)
		a.Cause, a.Cure = explainer{directory, names, &a.Event, peer, a.Times}.explain()
		a.Failed = isFailure(&a.Event)
		if peer != nil {
			a.Where = directory.Where(peer)
		}
	}
	return attempts
}

func isFailure(e *journal.Event) bool {
	switch e.Kind {
	case journal.Refused, journal.Challenged, journal.Expired, journal.Unreachable:
		return true
	}
	return false
}
