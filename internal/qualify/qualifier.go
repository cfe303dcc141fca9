// Package qualify asks phones whether they are there: an OPTIONS by the flow that each
// registered on, again and again, spread over time. It keeps the way through a NAT open
// too.
package qualify

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"io"
	"iter"
	"net/netip"
	"sync"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
	"sipregd/internal/transaction"
)

const (
	// tick is how long the qualifier rests between two steps, and maxAsked how many it
	// asks in one, of maxLooked that it looks at: what is due then waits for the next.
	tick      = 100 * time.Millisecond
	maxAsked  = 500
	maxLooked = 20_000

	// maxUnderWay is how many may be asked that have not answered yet. Beyond it all
	// wait.
	maxUnderWay = 16384
)

// Store is where bindings are.
type Store interface {
	Update(aor sipuri.AOR, now time.Time, change func(current []location.Binding) ([]location.Binding, error),
		made func(expired []location.Binding)) error
	Bindings(aor sipuri.AOR, now time.Time) []location.Binding
	All() iter.Seq2[sipuri.AOR, []location.Binding]
}

// Options are what a qualifier works with.
type Options struct {
	Store     Store
	Directory func() *peers.Directory // the peers of today
	Journal   journal.Journal
	Send      transaction.Send
	Gone      error // of Send: the flow is no more
	Clock     func() time.Time
	Random    io.Reader           // such as nobody guesses; it never fails
	RoundTrip func(time.Duration) // told of each answer; nil: nobody is
	Lost      func() uint64       // datagrams that came and were dropped here unread, so far; nil: none
	// Node is the name of this node where others share the store: each asks the phones that
	// have registered with it last. Outbound is the value of Path that leads to it.
	Node, Outbound string
}

// Qualifier knows which bindings are to be asked, and when, and what came of it. All of
// that is in memory alone. It may be used by many goroutines at once, but for Step.
type Qualifier struct {
	Options
	clients *transaction.Clients
	begun   time.Time // moments are counted from
	seed    maphash.Seed
	wake    chan struct{}

	mu      sync.Mutex // held for a moment only. Whoever holds it uses the store no more: that calls Bound
	entries map[uint64]*entry
	turns   turns
	counts  Counts
	lookAll bool // all bindings are to be looked at

	lost   uint64 // as it was last told
	lostAt moment // when it was last seen to have risen
}

// New returns a qualifier that begins with all bindings of the store, once it runs.
func New(o Options) *Qualifier {
	q := &Qualifier{
		Options: o, begun: o.Clock(), seed: maphash.MakeSeed(), wake: make(chan struct{}, 1),
		entries: map[uint64]*entry{}, lookAll: true,
	}
	q.clients = transaction.NewClients(q.sendOrLose, q.rouse)
	return q
}

// Clients returns the transactions in which it asks, for answers that come.
func (q *Qualifier) Clients() *transaction.Clients { return q.clients }

// sendOrLose sends a message. One that cannot be sent just now is lost, as each may be
// on its way: there is an error only where the phone's connection is gone.
func (q *Qualifier) sendOrLose(flow message.Flow, data []byte) error {
	if err := q.Send(flow, data); flow.Reliable() && errors.Is(err, q.Gone) {
		return err
	}
	return nil
}

// Run asks until the context ends.
func (q *Qualifier) Run(ctx context.Context) {
	for {
		next := q.Step(q.Clock())
		if !rest(ctx, tick, nil) || !rest(ctx, q.until(next), q.wake) {
			return
		}
	}
}

// rest waits for a time, without an end where it is negative, or until it is woken. It
// tells whether the context goes on.
func rest(ctx context.Context, long time.Duration, wake <-chan struct{}) bool {
	var over <-chan time.Time
	if long >= 0 {
		timer := time.NewTimer(long)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-over:
	}
	return true
}

// until returns how long it is until then, negative where there is no such time.
func (q *Qualifier) until(next time.Time) time.Duration {
	if next.IsZero() {
		return -1
	}
	return max(next.Sub(q.Clock()), 0)
}

func (q *Qualifier) rouse() {
	select {
	case q.wake <- struct{}{}:
	default: // it is awake
	}
}

// Reloaded has all bindings looked at by the peers of today.
func (q *Qualifier) Reloaded() {
	q.mu.Lock()
	q.lookAll = true
	q.mu.Unlock()
	q.rouse()
}

// Step does what is due, and returns when the next is; zero: when it is roused.
func (q *Qualifier) Step(now time.Time) (next time.Time) {
	q.lookAtAll(now)
	q.lookForLoss(now)
	ended := q.clients.Step(now)
	for i := range ended {
		q.take(&ended[i], now)
	}
	q.visitDue(now)
	return earlier(q.clients.Next(), q.nextTurn())
}

// visitDue visits the entries whose turn it is, as many as a step has time for.
func (q *Qualifier) visitDue(now time.Time) {
	asked := 0
	for looked := 0; looked < maxLooked && asked < maxAsked; looked++ {
		e := q.due(now)
		if e == nil {
			return
		}
		if q.visit(e, now) {
			asked++
		}
	}
}

// lookForLoss takes down that datagrams were dropped: answers may be among them.
func (q *Qualifier) lookForLoss(now time.Time) {
	if q.Lost == nil {
		return
	}
	if lost := q.Lost(); lost != q.lost {
		q.lost, q.lostAt = lost, q.moment(now)
	}
}

// earlier returns the earlier one of two times; zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// lookAtAll takes in all bindings that are to be asked, if it was asked for. Their turns
// are spread over the time from one to the next.
func (q *Qualifier) lookAtAll(now time.Time) {
	q.mu.Lock()
	wanted := q.lookAll
	q.lookAll = false
	q.mu.Unlock()
	if !wanted {
		return
	}
	directory := q.Directory()
	for aor, bindings := range q.Store.All() {
		for i := range bindings {
			b := &bindings[i]
			if peer := directory.ByAuthname(b.Domain, b.Authname); peer != nil && q.isHere(b) && b.Expires.After(now) {
				q.spread(aor, b, peer.QualifyEvery(b.NAT), now)
			}
		}
	}
}

func (q *Qualifier) spread(aor sipuri.AOR, b *location.Binding, every time.Duration, now time.Time) {
	if every == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if e := q.entryOf(aor, b); e.at != noTurn { // one that is asked just now is asked again by what holds then
		q.bring(e, now, q.within(every))
	}
}

// Bound is told of a binding that was added or refreshed by a peer. One that is new,
// comes by another flow or was unreachable is asked soon: what was known of it holds no
// more, as its phone is there and the way to it may be another. That is no event yet: it
// is reachable when it answers, and if it does not, that is no news. It keeps no text
// that it is given.
func (q *Qualifier) Bound(peer *peers.Peer, aor sipuri.AOR, b *location.Binding, now time.Time) {
	every := peer.QualifyEvery(b.NAT)
	if every == 0 { // as a rule
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	flow := q.flowOf(b)
	e := q.entries[b.ID]
	if e != nil && e.flow == flow && e.state != Unreachable {
		return
	}
	if e == nil {
		e = q.entryOf(aor, b)
	}
	e.flow, e.trip, e.doubt = flow, 0, 0
	q.setState(e, Unknown)
	if e.at == noTurn {
		e.again = true
		return
	}
	q.bring(e, now, q.soon(every))
}

func (q *Qualifier) flowOf(b *location.Binding) uint64 { return q.hash(b.Source, b.Local, b.Stream) }

// hash returns one of a flow by which a phone is reached.
func (q *Qualifier) hash(source, local netip.AddrPort, stream uint64) uint64 {
	var space [64]byte
	text := space[:0]
	for _, address := range [...]netip.AddrPort{source, local} {
		bytes := address.Addr().As16()
		text = binary.LittleEndian.AppendUint16(append(text, bytes[:]...), address.Port())
	}
	return maphash.Bytes(q.seed, binary.LittleEndian.AppendUint64(text, stream))
}

// within returns a time up to a longest one, by chance.
func (q *Qualifier) within(longest time.Duration) time.Duration {
	var bytes [8]byte
	q.random(bytes[:])
	return time.Duration(binary.LittleEndian.Uint64(bytes[:]) % uint64(longest))
}

func (q *Qualifier) random(into []byte) { _, _ = io.ReadFull(q.Random, into) }

// soon returns when a phone is asked that has just registered: it is to have its answer
// first, and phones that all come at once are not to be asked all at once.
func (q *Qualifier) soon(every time.Duration) time.Duration {
	const first, last = 500 * time.Millisecond, 5 * time.Second
	return min(first+q.within(last-first), every)
}

// again returns when a phone is to be asked again, within a tenth of every.
func (q *Qualifier) again(every time.Duration) time.Duration {
	return every - every/10 + q.within(every/5)
}
