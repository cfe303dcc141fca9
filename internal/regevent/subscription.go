package regevent

import (
	"container/heap"
	"container/list"
	"net/netip"
	"slices"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

// dialog is what tells one dialog from another (RFC 3261 §12).
type dialog struct{ callID, remoteTag, localTag string }

// watcher is who has subscribed: a peer, or somebody whose network is permitted.
type watcher struct{ domain, authname string }

var permitted = watcher{}

// Why a subscription ends, as Subscription-State says it (RFC 6665 §4.1.3).
const (
	timeout     = "timeout"     // it was not refreshed, or was to end
	rejected    = "rejected"    // its peer may not watch any more
	deactivated = "deactivated" // the daemon ends
)

// subscription is one to an address-of-record, with its dialog.
type subscription struct {
	id      uint64
	dialog  dialog
	event   message.Event
	aor     sipuri.AOR
	watcher watcher
	judged  *peers.Directory // by which it may watch
	domain  string           // in which it proves who it is
	uri     string           // of the address-of-record, as the subscriber wrote it
	local   string           // the URI of From of NOTIFYs
	remote  string           // and of To
	target  string           // the remote target
	route   string           // the route set
	flow    message.Flow     // by which NOTIFYs go
	origin  journal.Event    // what is said of it in the journal
	secure  bool             // its dialog is by sips: URIs alone
	cseq    uint32           // of the last SUBSCRIBE
	expires time.Time

	reached bool       // the watcher is surely where the SUBSCRIBE seemed to come from
	source  netip.Addr // which was there, where that is not sure at first
	room    int        // what a NOTIFY may take until it is, in bytes

	told     []told
	sequence uint32 // CSeq of the last NOTIFY
	version  uint32 // of the next document
	full     bool   // all is to be told, and soon
	changed  bool   // what has changed is to be told
	ends     string // why it ends, and that is to be told; empty: it does not
	soonest  time.Time
	next     time.Time // the soonest time for changes
	final    bool      // its last NOTIFY is under way
	at       int       // in turns; noTurn: it is under way
}

const noTurn = -1

// resource is an address-of-record that is watched.
type resource struct {
	id            uint64
	aor           sipuri.AOR
	subscriptions []*subscription
	endings       []ending      // of its bindings, the latest last
	place         *list.Element // in the round
	isKnown       bool          // of what version its bindings were last
	version       string        // which was this
	firstExpiry   time.Time     // of its bindings, as they were seen last; zero: nothing was bound
}

// due returns when the subscription is to be looked at.
func (s *subscription) due() time.Time {
	switch {
	case s.ends != "" || s.full:
		return s.soonest
	case s.changed && s.next.Before(s.expires):
		return s.next
	}
	return s.expires
}

// mayStay judges a subscription by other peers.
func (s *subscription) mayStay(next *peers.Directory) bool {
	last := s.judged
	s.judged = next
	return s.watcher == permitted || next == last || next.WhatEnds(last, s.watcher.domain, s.watcher.authname, s.aor) == ""
}

// What follows is called with the lock.

// plan has a subscription looked at when it is due.
func (n *Notifier) plan(s *subscription) {
	if s.at == noTurn {
		return // as soon as it is under way no more
	}
	heap.Fix(&n.turns, s.at)
}

// end has a subscriber told that its subscription ends.
func (n *Notifier) end(s *subscription, why string) {
	if !s.final && s.ends == "" {
		s.ends = why
		n.plan(s)
	}
}

// add takes a subscription in.
func (n *Notifier) add(s *subscription) {
	n.lastID++
	s.id = n.lastID
	n.dialogs[s.dialog], n.byID[s.id] = s, s
	r := n.resources[s.aor]
	if r == nil {
		r = &resource{id: s.id, aor: s.aor}
		r.place = n.round.PushBack(r)
		n.resources[s.aor] = r
		n.changes.watch(s.aor)
	}
	r.subscriptions = append(r.subscriptions, s)
	n.count(s)
	if s.watcher != permitted {
		n.peers[s.watcher]++
	}
	heap.Push(&n.turns, s)
}

// remove forgets a subscription.
func (n *Notifier) remove(s *subscription) {
	if n.byID[s.id] == nil {
		return
	}
	delete(n.byID, s.id)
	if n.dialogs[s.dialog] == s {
		delete(n.dialogs, s.dialog)
	}
	r := n.resources[s.aor]
	r.subscriptions = slices.DeleteFunc(r.subscriptions, func(other *subscription) bool { return other == s })
	if len(r.subscriptions) == 0 {
		delete(n.resources, s.aor)
		n.round.Remove(r.place)
		n.changes.unwatch(s.aor)
	}
	n.discount(s)
	if s.watcher != permitted {
		countOut(n.peers, s.watcher)
	}
	if s.at != noTurn {
		heap.Remove(&n.turns, s.at)
	}
}

// count counts a subscription by how its watcher is reached.
func (n *Notifier) count(s *subscription) {
	n.streams[s.flow.Stream]++
	if !s.reached {
		n.unreached++
	}
}

// discount takes back what count has counted: how the watcher is reached may change then.
func (n *Notifier) discount(s *subscription) {
	countOut(n.streams, s.flow.Stream)
	if !s.reached {
		n.unreached--
	}
}

func countOut[K comparable](counts map[K]int, of K) {
	if counts[of]--; counts[of] <= 0 {
		delete(counts, of)
	}
}

// What follows takes the lock.

// takeChanges has those who watch an AOR told what has changed.
func (n *Notifier) takeChanges(aor sipuri.AOR, endings []ending, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.resources[aor]
	if r == nil {
		return
	}
	for i := range endings {
		endings[i].taken = now
	}
	r.endings = append(r.endings, endings...)
	r.endings = r.endings[max(0, len(r.endings)-maxEndings):]
	for _, s := range r.subscriptions {
		s.changed = true
		n.plan(s)
	}
}

// due returns a subscription that is to be looked at, and now is under way; nil: there is
// none.
func (n *Notifier) due(now time.Time) *subscription {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.turns) == 0 || n.turns[0].due().After(now) {
		return nil
	}
	return heap.Pop(&n.turns).(*subscription)
}

// nextTurn returns when the next one is; zero: none is.
func (n *Notifier) nextTurn() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.turns) == 0 {
		return time.Time{}
	}
	return n.turns[0].due()
}

// turns are subscriptions, of which the first is the next to be looked at.
type turns []*subscription

func (h turns) Len() int           { return len(h) }
func (h turns) Less(i, j int) bool { return h[i].due().Before(h[j].due()) }
func (h turns) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *turns) Push(x any) {
	s := x.(*subscription)
	s.at = len(*h)
	*h = append(*h, s)
}

func (h *turns) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	s.at = noTurn
	return s
}
