package regevent

import (
	"container/heap"
	"fmt"
	"slices"
	"strconv"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/sipuri"
	"sipregd/internal/transaction"
)

// visit tells a subscriber what is to be told, if anything is.
func (n *Notifier) visit(s *subscription, now time.Time) {
	bindings, stale := n.lookup(s.aor, now)
	if stale && n.waitForStore(s, now) {
		return
	}
	request, sends := n.compose(s, bindings, now)
	if sends && n.clients.Begin(request, n.Clock()) != nil {
		n.drop(s, journal.StreamGone, "its connection is gone", now)
	}
}

// lookup returns what an AOR is bound to, and whether that is not known for sure.
func (n *Notifier) lookup(aor sipuri.AOR, now time.Time) (bindings []location.Binding, stale bool) {
	if n.remote == nil {
		return n.Store.Bindings(aor, now), false
	}
	return n.remote.Lookup(aor, now)
}

// waitForStore has a subscriber wait while it is not known for sure what there is to be told,
// unless that is nothing.
func (n *Notifier) waitForStore(s *subscription, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.ends == rejected {
		return false
	}
	if s.ends == "" && !s.expires.After(now) {
		s.ends = timeout
	}
	s.soonest, s.next = now.Add(gap), now.Add(gap)
	n.giveBack(s)
	return true
}

// compose writes the next NOTIFY of a subscription. Where there is none to send the
// subscription waits for its turn again.
func (n *Notifier) compose(s *subscription, bindings []location.Binding, now time.Time) (request transaction.Outgoing, sends bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.ends == "" && !s.expires.After(now) { // RFC 6665 §4.2.2
		s.ends = timeout
	}
	n.resources[s.aor].see(bindings)
	body := n.body(s, bindings, now)
	if body == nil && s.ends == "" {
		s.take(bindings, false)
		n.giveBack(s)
		return request, false
	}
	request, err := n.request(s, s.state(n.Clock()), body)
	isAll := s.reached || len(request.Data) <= s.room
	if !isAll { // what there is is told once this is answered
		request, err = n.request(s, s.stateFor("pending", n.Clock()), nil)
	}
	if err != nil || !s.reached && len(request.Data) > s.room { // its SUBSCRIBE cannot be answered
		n.counts.Failed++
		n.conclude(s, journal.NoAnswer, "no NOTIFY can be made for its SUBSCRIBE", now)
		return request, false
	}
	s.sequence++
	if isAll {
		s.take(bindings, body != nil)
	}
	s.next = now.Add(gap)
	n.counts.Notified++
	return request, true
}

// take takes in what a NOTIFY tells of, or what it need not tell of.
func (s *subscription) take(bindings []location.Binding, hasBody bool) {
	s.told = s.told[:0]
	for i := range bindings {
		s.told = append(s.told, toldOf(&bindings[i]))
	}
	if hasBody {
		s.version++
	}
	s.full, s.changed, s.final = false, false, s.ends != ""
}

// body returns the document that a subscriber is to be sent; nil: there is nothing to be
// said, or nothing that it may know.
func (n *Notifier) body(s *subscription, bindings []location.Binding, now time.Time) []byte {
	if s.ends == rejected {
		return nil
	}
	full := s.full || s.ends != ""
	r := n.resources[s.aor]
	contacts := difference(s.told, bindings, full, func(t *told) event { return n.whyEnded(r, t, now) }, now)
	if len(contacts) == 0 && !full {
		return nil
	}
	d := document{Version: s.version, State: "partial", Registration: registration{
		AOR: s.uri, ID: strconv.FormatUint(r.id, 10), State: stateOf(bindings, contacts), Contacts: contacts,
	}}
	if full {
		d.State = "full"
	}
	return d.encode()
}

// whyEnded returns what ended a binding. Where that is not known any more it has expired,
// or was taken from its phone. Where it ended elsewhere that was never known, and its phone
// is the most likely to have ended it.
func (n *Notifier) whyEnded(r *resource, t *told, now time.Time) event {
	binding := n.changes.bindingOf(t.uri, t.callID)
	for _, e := range slices.Backward(r.endings) {
		if e.binding == binding && (!n.isElsewhere() || !e.taken.Before(t.changed)) { // it may be an earlier one
			return e.event
		}
	}
	switch {
	case !t.expires.After(now.Add(expirySlack)):
		return expired
	case n.isElsewhere():
		return unregistered
	}
	return withdrawn
}

// request writes the next NOTIFY of a subscription. Where nobody knows yet whether its
// watcher is there it is sent once.
func (n *Notifier) request(s *subscription, state string, body []byte) (transaction.Outgoing, error) {
	notify := message.Notify{
		Target: s.target, Route: s.route, From: s.local, Tag: s.dialog.localTag, To: s.remote, ToTag: s.dialog.remoteTag,
		CallID: s.dialog.callID, CSeq: s.sequence + 1, Event: s.event, State: state, Flow: s.flow, Secure: s.secure, Branch: n.token(), Body: body,
	}
	if body != nil {
		notify.Type = mediaType
	}
	data, err := notify.Append(nil)
	return transaction.Outgoing{
		ID: s.id, Branch: notify.Branch, Method: "NOTIFY", Flow: s.flow, Data: data, Timeout: notifyTimeout, Once: !s.reached,
	}, err
}

// state returns the value of Subscription-State (RFC 6665 §8.2.3).
func (s *subscription) state(now time.Time) string {
	if s.ends != "" {
		return "terminated;reason=" + s.ends
	}
	return s.stateFor("active", now)
}

func (s *subscription) stateFor(state string, now time.Time) string {
	left := max(s.expires.Sub(now), 0)
	return state + ";expires=" + strconv.FormatInt(int64((left+time.Second-1)/time.Second), 10)
}

// giveBack has a subscription wait for its turn again.
func (n *Notifier) giveBack(s *subscription) {
	heap.Push(&n.turns, s)
}

// settle takes in what came of a NOTIFY: where it has failed the subscription is no more,
// unless the answer says when to try again (RFC 6665 §4.2.2).
func (n *Notifier) settle(outcome *transaction.Outcome, now time.Time) {
	n.mu.Lock()
	s := n.byID[outcome.ID]
	n.mu.Unlock()
	switch {
	case s == nil:
	case outcome.Status == 0:
		n.drop(s, journal.NoAnswer, fmt.Sprintf("no answer to NOTIFY for %.0f s", notifyTimeout.Seconds()), now)
	case outcome.Status >= 300 && outcome.Status != 481 && outcome.RetryAfter > 0 && s.reached:
		n.putOff(s, max(outcome.RetryAfter, gap), now)
	case outcome.Status >= 300:
		n.drop(s, journal.NotifyRefused, "NOTIFY was answered "+strconv.Itoa(outcome.Status), now)
	default:
		n.carryOn(s, now)
	}
}

// putOff has a subscriber told all later, or at its end.
func (n *Notifier) putOff(s *subscription, long time.Duration, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counts.Failed++
	if s.final {
		n.conclude(s, journal.None, "", now)
		return
	}
	s.full, s.soonest = true, now.Add(min(long, s.expires.Sub(now)))
	n.giveBack(s)
}

// carryOn goes on with a subscription whose NOTIFY has arrived.
func (n *Notifier) carryOn(s *subscription, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.discount(s)
	s.reached = true
	n.count(s)
	if s.final {
		n.conclude(s, journal.None, "", now)
		return
	}
	n.giveBack(s)
}

// drop ends a subscription whose NOTIFY has failed.
func (n *Notifier) drop(s *subscription, reason journal.Reason, detail string, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counts.Failed++
	n.conclude(s, reason, detail, now)
}

// conclude forgets a subscription, and has that taken down.
func (n *Notifier) conclude(s *subscription, reason journal.Reason, detail string, now time.Time) {
	n.remove(s)
	event := s.origin
	event.Time, event.Reason, event.Detail = now, reason, detail
	if s.ends == rejected {
		event.Reason = journal.ByConfiguration
	}
	n.events = append(n.events, event)
}
