package admin

import (
	"context"
	"encoding/json"
	"sync"
)

const (
	queueEvents = 10_000
	queueBytes  = 16 << 20
	postEvents  = 100
	postBytes   = 256 << 10 // many servers take no more than a megabyte, and refuse the rest for ever
)

// batch is the body of a post: events, and how many were lost since the last one.
type batch struct {
	Events  []json.RawMessage `json:"events"`
	Dropped uint64            `json:"dropped"`
}

// postQueue holds events that wait to be posted, as JSON and in their order. The
// oldest make room for new ones.
type postQueue struct {
	wake chan struct{}

	mu     sync.Mutex
	events []json.RawMessage
	bytes  int    // of them all
	lost   uint64 // since the last batch
	ended  bool
}

func newPostQueue() *postQueue { return &postQueue{wake: make(chan struct{}, 1)} }

// add appends an event, and returns how many have made room for it.
func (q *postQueue) add(event json.RawMessage) (dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.events) >= queueEvents || len(q.events) > 0 && q.bytes+len(event) > queueBytes {
		q.remove(1)
		dropped++
	}
	q.lost += dropped
	q.events = append(q.events, event)
	q.bytes += len(event)
	q.signal()
	return dropped
}

// remove takes so many of the oldest events out.
func (q *postQueue) remove(count int) {
	for i := range q.events[:count] {
		q.bytes -= len(q.events[i])
		q.events[i] = nil
	}
	q.events = q.events[count:]
}

// lose counts events that never came.
func (q *postQueue) lose(events uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost += events
}

// end tells that nothing is added any more.
func (q *postQueue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.signal()
}

func (q *postQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // it is signalled
	}
}

// take waits for events and takes the oldest. There are no more once the queue has
// ended and is empty, or the context ends.
func (q *postQueue) take(ctx context.Context) (b batch, more bool) {
	for {
		if b, ended := q.takeSome(); len(b.Events) > 0 || ended {
			return b, len(b.Events) > 0
		}
		select {
		case <-ctx.Done():
			return batch{}, false
		case <-q.wake:
		}
	}
}

func (q *postQueue) takeSome() (b batch, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	count := q.fitting()
	if count == 0 {
		return batch{}, q.ended
	}
	b = batch{append([]json.RawMessage(nil), q.events[:count]...), q.lost}
	q.remove(count)
	q.lost = 0
	return b, q.ended
}

// fitting returns how many events go into a post.
func (q *postQueue) fitting() int {
	bytes := 0
	for i, event := range q.events {
		if bytes += len(event); i == postEvents || i > 0 && bytes > postBytes {
			return i
		}
	}
	return len(q.events)
}

func (q *postQueue) count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.events)
}

// clear takes all events out and returns how many these were.
func (q *postQueue) clear() (events uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	events = uint64(len(q.events))
	q.remove(len(q.events))
	return events
}
