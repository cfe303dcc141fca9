// Package regevent tells those who have subscribed to it what becomes of the bindings of
// an address-of-record: the event package reg (RFC 3680) over SUBSCRIBE and NOTIFY
// (RFC 6665). It knows no socket, and has its clock and randomness from the caller.
package regevent

import (
	"container/list"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"sync"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/registrar"
	"sipregd/internal/sipuri"
	"sipregd/internal/transaction"
)

const (
	// tick is how long the notifier rests between two steps, and maxNotified how many it
	// tells something in one: the others wait for the next.
	tick        = 50 * time.Millisecond
	maxNotified = 500

	// maxStep is how long one takes where the store is slow: NOTIFYs are to be sent again.
	maxStep = 250 * time.Millisecond

	// firstDelay is how long a subscriber has to get the answer to its SUBSCRIBE before
	// the NOTIFY that has to follow at once (RFC 6665 §4.2.1.2).
	firstDelay = 100 * time.Millisecond

	// gap is between two NOTIFYs of a subscription that tell of changes (RFC 3680 §4.10).
	gap = 5 * time.Second

	// notifyAmplification is how many bytes a NOTIFY may have for each of its SUBSCRIBE
	// while its watcher may not be there: the answer has as many again.
	notifyAmplification = 2

	// notifyTimeout is how long a NOTIFY may stay without an answer: Timer F, 64·T1
	// (RFC 3261 §17.1.2.2).
	notifyTimeout = 32 * time.Second
)

// Store is where bindings are.
type Store interface {
	Bindings(aor sipuri.AOR, now time.Time) []location.Binding
}

// remote is a Store that may be out of reach.
type remote interface {
	// Lookup is Bindings, and tells that what is bound is not known for sure.
	Lookup(aor sipuri.AOR, now time.Time) (bindings []location.Binding, stale bool)
}

// Options are what a notifier works with.
type Options struct {
	Store    Store
	Versions Versions // of what is in Store; nil: whatever changes there is in the journal
	Journal  journal.Journal
	Send     transaction.Send
	Gone     error // of Send: the flow is no more
	Clock    func() time.Time
	Random   io.Reader      // such as nobody guesses; it never fails
	Permit   []netip.Prefix // from where anybody may watch all addresses-of-record

	MaxSubscriptions, PerAOR, PerPeer int
}

// Notifier knows who has subscribed to what, and tells them. All of that is in memory
// alone. It may be used by many goroutines at once, but for Step.
type Notifier struct {
	Options
	remote    remote               // the Store, nil: it is never out of reach
	registrar *registrar.Registrar // which says who somebody is
	clients   *transaction.Clients
	changes   *changes
	wake      chan struct{}

	mu        sync.Mutex // held for a moment only. Whoever holds it uses neither the store nor the journal
	dialogs   map[dialog]*subscription
	byID      map[uint64]*subscription
	resources map[sipuri.AOR]*resource
	round     list.List       // of them, as they are asked about: the next one first
	peers     map[watcher]int // how many subscriptions each has
	streams   map[uint64]int  // how many are reached by each connection
	unreached int             // how many have watchers that may not be there
	turns     turns
	lastID    uint64
	left      bool            // nobody is told anything any more
	events    []journal.Event // that are still to be taken down
	counts    Counts
}

// Counts is what a notifier has done so far.
type Counts struct {
	Subscriptions int
	Notified      uint64 // NOTIFYs, without those that were sent again
	Failed        uint64 // of them: they had no answer, or another than 2xx, or could not be sent
}

// New returns a notifier that nobody has subscribed with.
func New(o Options) *Notifier {
	remote, _ := o.Store.(remote)
	n := &Notifier{
		Options: o, remote: remote, changes: newChanges(), wake: make(chan struct{}, 1),
		dialogs: map[dialog]*subscription{}, byID: map[uint64]*subscription{},
		resources: map[sipuri.AOR]*resource{}, peers: map[watcher]int{}, streams: map[uint64]int{},
	}
	n.clients = transaction.NewClients(n.sendOrLose, n.rouse)
	return n
}

// Clients returns the transactions of NOTIFYs, for answers that come.
func (n *Notifier) Clients() *transaction.Clients { return n.clients }

// Counts returns what has been done until now.
func (n *Notifier) Counts() Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	counts := n.counts
	counts.Subscriptions = len(n.byID)
	return counts
}

// Carries tells whether a subscriber is reached by a connection.
func (n *Notifier) Carries(stream uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.streams[stream] > 0
}

// sendOrLose sends a message. One that cannot be sent just now is lost, as each may be
// on its way: there is an error only where the connection is gone.
func (n *Notifier) sendOrLose(flow message.Flow, data []byte) error {
	if err := n.Send(flow, data); flow.Reliable() && errors.Is(err, n.Gone) {
		return err
	}
	return nil
}

func (n *Notifier) rouse() {
	select {
	case n.wake <- struct{}{}:
	default: // it is awake
	}
}

// Run tells subscribers what is to be told until the context ends. Then it tells them
// that they are to subscribe anew.
func (n *Notifier) Run(ctx context.Context) {
	for ctx.Err() == nil {
		next := n.Step(n.Clock())
		n.rest(ctx, tick, nil)
		n.rest(ctx, n.until(next), n.wake)
	}
	n.takeLeave()
}

// rest waits for a time, without an end where it is negative, or until it is woken or the
// context ends.
func (n *Notifier) rest(ctx context.Context, long time.Duration, wake <-chan struct{}) {
	var over <-chan time.Time
	if long >= 0 {
		timer := time.NewTimer(long)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
	case <-wake:
	case <-over:
	}
}

// until returns how long it is until then, negative where there is no such time.
func (n *Notifier) until(next time.Time) time.Duration {
	if next.IsZero() {
		return -1
	}
	return max(next.Sub(n.Clock()), 0)
}

// Step does what is due, and returns when the next is; zero: when it is roused.
func (n *Notifier) Step(now time.Time) (next time.Time) {
	for _, outcome := range n.clients.Step(now) {
		n.settle(&outcome, now)
	}
	n.changes.take(func(aor sipuri.AOR, endings []ending) { n.takeChanges(aor, endings, now) })
	end := now.Add(maxStep)
	for range maxNotified {
		s := n.due(now)
		if s == nil {
			break
		}
		n.visit(s, now)
		if now = n.Clock(); now.After(end) {
			break
		}
	}
	n.flush()
	return earlier(n.clients.Next(), n.nextTurn())
}

// flush takes down what has happened.
func (n *Notifier) flush() {
	n.mu.Lock()
	events := n.events
	n.events = nil
	n.mu.Unlock()
	for _, e := range events {
		n.Journal.Record(e)
	}
}

// Reloaded ends the subscriptions of peers that may watch their addresses-of-record no
// more, once the registrar has other peers.
func (n *Notifier) Reloaded() {
	n.mu.Lock()
	defer n.mu.Unlock()
	next := n.registrar.Directory()
	for _, s := range n.byID {
		if !s.mayStay(next) {
			n.end(s, rejected)
		}
	}
	n.rouse()
}

// takeLeave tells all subscribers once that their subscriptions end, and that they may
// subscribe anew at once: another life of the daemon knows none of them.
func (n *Notifier) takeLeave() {
	n.mu.Lock()
	n.left = true
	var notifies []transaction.Outgoing
	for _, s := range n.byID {
		if !s.final {
			s.ends = deactivated
			if request, err := n.request(s, s.state(n.Clock()), nil); err == nil {
				notifies = append(notifies, request)
			}
		}
	}
	n.mu.Unlock()
	for i := range notifies {
		_ = n.Send(notifies[i].Flow, notifies[i].Data)
	}
}

// earlier returns the earlier one of two times; zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// token returns 128 bits by chance. It is called with the lock.
func (n *Notifier) token() string {
	var bytes [16]byte
	_, _ = io.ReadFull(n.Random, bytes[:])
	return hex.EncodeToString(bytes[:])
}
