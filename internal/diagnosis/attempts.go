// Package diagnosis tells from recent events and the peers why a phone is not
// registered: the cause, and what cures it, in sentences for the administrator.
package diagnosis

import (
	"net/netip"
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

// outcome is what a request came to that something else followed.
type outcome int

const (
	answered  outcome = iota + 1 // the challenge was
	succeeded                    // the phone got through
)

// Attempts returns what the events tell, the latest first, as they have to be given.
// What phones get over by themselves is left out.
func Attempts(events []journal.Event, directory *peers.Directory, now time.Time) []Attempt {
	var attempts []Attempt
	last := map[phone]int{} // the place of the earliest attempt of each phone so far
	later := map[string]outcome{}
	for i := range events {
		e := &events[i]
		isNews := isNews(e, later[e.CallID], now)
		take(later, e)
		if !isNews {
			continue
		}
		if at, known := last[phoneOf(e)]; known && isSame(&attempts[at].Event, e) {
			attempts[at].Times++
			continue
		}
		last[phoneOf(e)] = len(attempts)
		attempts = append(attempts, Attempt{Event: *e, Times: 1})
	}
	return explained(attempts, directory)
}

// isNews tells whether an event is to be told of, by what has followed it with the
// same Call-ID.
func isNews(e *journal.Event, later outcome, now time.Time) bool {
	switch {
	case e.Kind == journal.Listed:
		return false
	case e.Kind == journal.Challenged:
		return later == 0 && now.Sub(e.Time) > answerTime
	case retriesItself(e.Reason):
		return later != succeeded
	}
	return true
}

// retriesItself tells whether a sound phone tries again at once, and then gets
// through.
func retriesItself(r journal.Reason) bool {
	return r == journal.StaleNonce || r == journal.Replay || r == journal.ExpiryTooBrief
}

func take(later map[string]outcome, e *journal.Event) {
	switch {
	case e.CallID == "":
	case isSuccess(e.Kind):
		later[e.CallID] = succeeded
	case e.Kind == journal.Refused && later[e.CallID] == 0:
		later[e.CallID] = answered
	}
}

func isSuccess(k journal.Kind) bool {
	return k == journal.Added || k == journal.Refreshed || k == journal.Listed || k == journal.Removed
}

// isSame tells whether two events of a phone are one attempt: a binding that is
// refreshed is as good as one that is added.
func isSame(a, b *journal.Event) bool {
	isBound := func(e *journal.Event) bool { return e.Kind == journal.Added || e.Kind == journal.Refreshed }
	return a.Kind == b.Kind && a.Reason == b.Reason || isBound(a) && isBound(b)
}

// explained adds cause and cure to each. A nonce that was stale once, and now the
// phone is silent, is a challenge that was not answered.
func explained(attempts []Attempt, directory *peers.Directory) []Attempt {
	for i := range attempts {
		a := &attempts[i]
		if r := a.Event.Reason; a.Times < staleLoop && (r == journal.StaleNonce || r == journal.Replay) {
			a.Event.Kind, a.Event.Reason = journal.Challenged, journal.None
		}
		explainer := explainer{directory, &a.Event, peerOf(directory, &a.Event)}
		a.Cause, a.Cure = explainer.explain(a.Times)
		a.Failed = isFailure(&a.Event)
		if explainer.peer != nil {
			a.Where = directory.Where(explainer.peer)
		}
	}
	return attempts
}

func isFailure(e *journal.Event) bool {
	return e.Kind == journal.Refused || e.Kind == journal.Challenged || e.Kind == journal.Expired
}

// peerOf returns the peer that an event is about: that which proved itself, or
// whose authname was claimed.
func peerOf(directory *peers.Directory, e *journal.Event) *peers.Peer {
	if e.Label != "" {
		if p := directory.ByLabel(e.Label); p != nil {
			return p
		}
	}
	if e.Authname == "" {
		return nil
	}
	return directory.ByAuthname(e.AOR.Domain, e.Authname)
}
