package qualify

import (
	"container/heap"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// lookEvery is how long an entry stays at most whose binding is gone.
const lookEvery = time.Minute

// moment is a time since the qualifier began, which takes less room than a time.Time.
type moment = time.Duration

func (q *Qualifier) moment(of time.Time) moment { return of.Sub(q.begun) }

// entry is a binding that is to be asked.
type entry struct {
	id    uint64 // of the binding
	aor   sipuri.AOR
	flow  uint64 // a hash of the one that it was last bound or asked by
	state State
	again bool          // it was bound anew since it has its turn, and is to be asked soon after that
	told  bool          // the last event said that it is unreachable
	doubt uint8         // times in a row that an answer may have been lost here
	trip  time.Duration // of the last answer; 0: none yet
	asked moment        // when, last
	ask   moment        // when next
	look  moment        // when it is looked at next, as its binding may be gone
	at    int32         // in turns; noTurn: it has its turn
}

const noTurn = -1

// What follows is called with the lock.

// entryOf returns the entry of a binding, a new one where there is none. That has no
// place in turns yet, and bring gives it one.
func (q *Qualifier) entryOf(aor sipuri.AOR, b *location.Binding) *entry {
	e := q.entries[b.ID]
	if e == nil {
		e = &entry{id: b.ID, aor: aor.Clone(), flow: q.flowOf(b), ask: never, look: never}
		q.entries[b.ID] = e
		q.counts.States[Unknown]++
		heap.Push(&q.turns, e)
	}
	return e
}

const never = moment(1<<63 - 1)

// bring has an entry that waits for its turn asked in that time, if it would not be
// sooner.
func (q *Qualifier) bring(e *entry, now time.Time, in time.Duration) {
	ask := q.moment(now) + in
	if ask >= e.ask {
		return
	}
	e.ask = ask
	e.setLook(q.moment(now))
	heap.Fix(&q.turns, int(e.at))
	if e.at == 0 {
		q.rouse()
	}
}

func (q *Qualifier) setState(e *entry, state State) {
	q.counts.States[e.state]--
	q.counts.States[state]++
	e.state = state
}

// setLook sets when the entry is looked at next.
func (e *entry) setLook(now moment) { e.look = min(e.ask, now+lookEvery) }

// giveBack ends the turn of an entry: it is asked again in that time.
func (q *Qualifier) giveBack(e *entry, now time.Time, ask moment) {
	e.ask, e.again = ask, false
	e.setLook(q.moment(now))
	heap.Push(&q.turns, e)
}

// forget ends the turn of an entry for good.
func (q *Qualifier) forget(e *entry) {
	q.counts.States[e.state]--
	delete(q.entries, e.id)
}

// What follows takes the lock.

// due returns an entry that is to be looked at, and now has its turn; nil: there is
// none, or too many have not answered yet.
func (q *Qualifier) due(now time.Time) *entry {
	if q.clients.Len() >= maxUnderWay {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.turns) == 0 || q.turns[0].look > q.moment(now) {
		return nil
	}
	return heap.Pop(&q.turns).(*entry)
}

// nextTurn returns when the next one is; zero: none is.
func (q *Qualifier) nextTurn() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.turns) == 0 {
		return time.Time{}
	}
	return q.begun.Add(q.turns[0].look)
}

// turns are entries, of which the first is the next to be looked at.
type turns []*entry

func (h turns) Len() int           { return len(h) }
func (h turns) Less(i, j int) bool { return h[i].look < h[j].look }
func (h turns) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = int32(i), int32(j)
}

func (h *turns) Push(x any) {
	e := x.(*entry)
	e.at = int32(len(*h))
	*h = append(*h, e)
}

func (h *turns) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	e.at = noTurn
	return e
}
