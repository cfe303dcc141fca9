package transaction

import (
	"container/heap"
	"time"
)

// repetition is when a message is sent again over a transport that is not reliable: each
// time after twice as long as before, up to T2 (RFC 3261 §17.1.2.2, §17.2.1).
type repetition struct {
	ends     time.Time     // Timer F or H
	repeats  time.Time     // Timer E or G; not before ends: never
	interval time.Duration // of that
	at       int           // in the repetitions
}

func (r *repetition) timing() *repetition { return r }

// next returns when the message is to be looked at.
func (r *repetition) next() time.Time {
	if r.repeats.Before(r.ends) {
		return r.repeats
	}
	return r.ends
}

// repeated is a message that has a repetition in it.
type repeated interface{ timing() *repetition }

// repetitions are messages, as a heap: the first is the next to be looked at.
type repetitions[T repeated] struct{ list []T }

func (r *repetitions[T]) add(one T)    { heap.Push(r, one) }
func (r *repetitions[T]) remove(one T) { heap.Remove(r, one.timing().at) }

// next returns when the first is to be looked at; zero: there is none.
func (r *repetitions[T]) next() time.Time {
	if len(r.list) == 0 {
		return time.Time{}
	}
	return r.list[0].timing().next()
}

// due returns what is to be sent again. over is called for each whose time has ended,
// and is to remove it.
func (r *repetitions[T]) due(now time.Time, over func(T)) (again []T) {
	for len(r.list) > 0 && !r.next().After(now) {
		one := r.list[0]
		t := one.timing()
		if !t.ends.After(now) {
			over(one)
			continue
		}
		again = append(again, one)
		t.interval = min(2*t.interval, timerT2)
		t.repeats = now.Add(t.interval)
		heap.Fix(r, 0)
	}
	return again
}

func (r *repetitions[T]) Len() int { return len(r.list) }

func (r *repetitions[T]) Less(i, j int) bool {
	return r.list[i].timing().next().Before(r.list[j].timing().next())
}

func (r *repetitions[T]) Swap(i, j int) {
	r.list[i], r.list[j] = r.list[j], r.list[i]
	r.list[i].timing().at, r.list[j].timing().at = i, j
}

// Push and Pop are heap.Interface.
func (r *repetitions[T]) Push(x any) {
	one := x.(T)
	one.timing().at = len(r.list)
	r.list = append(r.list, one)
}

func (r *repetitions[T]) Pop() any {
	last := len(r.list) - 1
	one := r.list[last]
	var none T
	r.list[last] = none
	r.list = r.list[:last]
	return one
}
