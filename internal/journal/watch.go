package journal

import (
	"context"
	"slices"
	"time"
)

const (
	// watchPause is between two looks of a watch, at least, and watchBatch how many
	// events it then gets at most: what happens faster than that nobody reads, and
	// phones shall not wait for it.
	watchPause = 50 * time.Millisecond
	watchBatch = 128
)

// Watch follows the events of a recorder, in their order. It must be closed, and
// used by one goroutine at a time.
type Watch struct {
	recorder *Recorder
	filter   Filter
	at       [classes]uint64 // the next position to look at
	missed   uint64
	wake     chan struct{}
	looked   time.Time
}

// Watch begins to follow what a filter picks: after the event of that sequence
// number as far as it is remembered, or from now on for 0.
func (r *Recorder) Watch(f Filter, after uint64) *Watch {
	w := &Watch{recorder: r, filter: f, wake: make(chan struct{}, 1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if after == 0 {
		after = r.seq
	}
	for i := range r.rings {
		position, missed := r.rings[i].after(after)
		if w.at[i] = position; f.follows(class(i)) {
			w.missed += missed
		}
	}
	r.watches = append(r.watches, w)
	w.wake <- struct{}{} // there may be something to see
	return w
}

// Watches returns how many watches there are.
func (r *Recorder) Watches() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.watches)
}

// Close ends the watch.
func (w *Watch) Close() {
	r := w.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watches = slices.DeleteFunc(r.watches, func(other *Watch) bool { return other == w })
}

// wakeFor wakes the watch for an event, if it may be one for it.
func (w *Watch) wakeFor(class class) {
	if !w.filter.follows(class) {
		return
	}
	w.rouse()
}

func (w *Watch) rouse() {
	select {
	case w.wake <- struct{}{}:
	default: // it is awake
	}
}

// Next waits for events and returns them, and how many were missed before them:
// they had made room before they could be looked at. Some of these may have been
// such that the filter does not pick. It fails when the context ends.
func (w *Watch) Next(ctx context.Context) (events []Event, missed uint64, err error) {
	for len(events) == 0 && missed == 0 {
		if err := w.wait(ctx); err != nil {
			return nil, 0, err
		}
		events, missed = w.Look()
	}
	return events, missed, nil
}

func (w *Watch) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-w.wake:
	}
	pause := time.NewTimer(watchPause - time.Since(w.looked))
	defer pause.Stop()
	select {
	case <-ctx.Done():
		w.rouse() // for the next call
		return ctx.Err()
	case <-pause.C:
		w.looked = time.Now()
		return nil
	}
}

// Look returns the events that there are, as Next does, and none where there are
// none.
func (w *Watch) Look() (events []Event, missed uint64) {
	for more := true; more && len(events) < watchBatch; {
		events, more = w.lookAtSome(events)
	}
	missed, w.missed = w.missed, 0
	return events, missed
}

// lookAtSome goes through some events in their order. There may be more then.
func (w *Watch) lookAtSome(events []Event) (all []Event, more bool) {
	r := w.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	w.skipLost()
	for range lookAtOnce {
		class, found := w.earliest()
		if !found {
			return events, false
		}
		if len(events) == watchBatch {
			break
		}
		encoded := r.rings[class].bytes(w.at[class])
		w.at[class]++
		if e := view(encoded); w.filter.Picks(&e) {
			events = append(events, decode(encoded))
		}
	}
	w.rouse()
	return events, true
}

// skipLost goes on to what is still remembered.
func (w *Watch) skipLost() {
	for i := range w.at {
		if first := w.recorder.rings[i].first; w.at[i] < first && w.filter.follows(class(i)) {
			w.missed += first - w.at[i]
			w.at[i] = first
		}
	}
}

// earliest returns where the next event stands.
func (w *Watch) earliest() (next class, found bool) {
	var seq uint64
	for i := range w.at {
		ring := &w.recorder.rings[i]
		if w.at[i] == ring.next || !w.filter.follows(class(i)) {
			continue
		}
		if at := ring.slot(w.at[i]).seq; !found || at < seq {
			next, seq, found = class(i), at, true
		}
	}
	return next, found
}
