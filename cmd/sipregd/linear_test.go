package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// operation is a REGISTER of an AOR as its phone saw it.
type operation struct {
	begun, ended time.Time      // of one that nobody acknowledged there is no end
	set          map[string]int // Contacts that it binds, and the version of each
	remove       []string       // Contacts that it removes; "*": all
	acknowledged bool
	listed       map[string]int // what is bound by the answer, with versions
}

// apply returns what is bound after an operation.
func (o *operation) apply(bound map[string]int) map[string]int {
	next := maps.Clone(bound)
	for _, contact := range o.remove {
		if contact == "*" {
			clear(next)
		}
		delete(next, contact)
	}
	maps.Copy(next, o.set)
	return next
}

func (o *operation) String() string {
	text := fmt.Sprintf("%s set %v remove %v", o.begun.Format("05.000"), o.set, o.remove)
	if o.acknowledged {
		return text + fmt.Sprintf(" → %v at %s", o.listed, o.ended.Format("05.000"))
	}
	return text + " → ?"
}

// history is all operations of an AOR.
type history struct {
	mu         sync.Mutex
	operations []*operation
}

func (h *history) add(o *operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, o)
}

// forget has what was acknowledged within a while before a moment count as not
// acknowledged.
func (h *history) forget(from, to time.Time) {
	for _, o := range h.operations {
		if o.acknowledged && o.ended.After(from) && o.begun.Before(to) {
			o.acknowledged = false
		}
	}
}

// search looks for one order of the operations in which each has the effect that its
// phone was told of: none begins before one that had ended then, and one that nobody
// acknowledged may be left out, or come at any time after its beginning.
type search struct {
	operations []*operation // by their beginnings
	dead       map[string]bool
	longest    int // acknowledged operations that were put in order at most
	steps      int
}

// mostSteps is how long is looked for an order.
const mostSteps = 200_000

// isLinear tells whether there is such an order. It describes what stands in the way.
func (h *history) isLinear() (is bool, why string) {
	s := &search{operations: slices.Clone(h.operations), dead: map[string]bool{}}
	seen := h.seen()
	s.operations = slices.DeleteFunc(s.operations, func(o *operation) bool { return !o.acknowledged && !o.isSeen(seen) })
	slices.SortFunc(s.operations, func(a, b *operation) int { return a.begun.Compare(b.begun) })
	acknowledged := 0
	for _, o := range s.operations {
		if o.acknowledged {
			acknowledged++
		}
	}
	if s.from(make([]bool, len(s.operations)), map[string]int{}, 0, acknowledged, 0) {
		return true, ""
	}
	var text strings.Builder
	fmt.Fprintf(&text, "in %d steps no order was found of more than %d of %d acknowledged:", s.steps, s.longest, acknowledged)
	for _, o := range s.operations[max(0, s.longest-10):min(len(s.operations), s.longest+30)] {
		fmt.Fprintf(&text, "\n%v", o)
	}
	return false, text.String()
}

// seen returns the versions that were listed.
func (h *history) seen() map[int]bool {
	seen := map[int]bool{}
	for _, o := range h.operations {
		for _, version := range o.listed {
			seen[version] = o.acknowledged || seen[version]
		}
	}
	return seen
}

// isSeen tells whether it makes a difference that an operation was made: one whose
// bindings nobody has ever listed may as well be left out.
func (o *operation) isSeen(seen map[int]bool) bool {
	for _, version := range o.set {
		if seen[version] {
			return true
		}
	}
	return len(o.remove) > 0
}

// mostUnknown is how many operations that nobody acknowledged are put one after the other
// at most: phones had no answer to so many at a time.
const mostUnknown = 6

// from tells whether those that are left can follow what is bound.
func (s *search) from(done []bool, bound map[string]int, count, wanted, unknown int) bool {
	s.longest = max(s.longest, count)
	s.steps++
	if count == wanted {
		return true
	}
	key := keyOfState(done, bound, unknown)
	if s.steps > mostSteps || s.dead[key] {
		return false
	}
	var before time.Time // the first end of those that are left: what begins later has to wait
	for i, o := range s.operations {
		if !done[i] && o.acknowledged && (before.IsZero() || o.ended.Before(before)) {
			before = o.ended
		}
	}
	for i, o := range s.operations {
		if done[i] || !o.acknowledged || o.begun.After(before) {
			continue
		}
		if next := o.apply(bound); maps.Equal(next, o.listed) {
			done[i] = true
			if s.from(done, next, count+1, wanted, 0) {
				return true
			}
			done[i] = false
		}
	}
	for i, o := range s.operations {
		if done[i] || o.acknowledged || unknown == mostUnknown || o.begun.After(before) {
			continue
		}
		if next := o.apply(bound); !maps.Equal(next, bound) {
			done[i] = true
			if s.from(done, next, count, wanted, unknown+1) {
				return true
			}
			done[i] = false
		}
	}
	s.dead[key] = true
	return false
}

func keyOfState(done []bool, bound map[string]int, unknown int) string {
	key := make([]byte, 0, len(done)/8+64)
	for i, is := range done {
		if i%8 == 0 {
			key = append(key, 0)
		}
		if is {
			key[i/8] |= 1 << (i % 8)
		}
	}
	return string(fmt.Append(key, bound, unknown))
}

// The judge is judged.
func TestHistoriesThatAreLinear(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	op := func(begun, ended int, set map[string]int, listed map[string]int, remove ...string) *operation {
		return &operation{begun: at(begun), ended: at(ended), set: set, remove: remove, acknowledged: ended > 0, listed: listed}
	}
	type m = map[string]int
	for _, test := range []struct {
		name       string
		operations []*operation
		want       bool
	}{
		{"one after the other", []*operation{op(1, 2, m{"a": 1}, m{"a": 1}), op(3, 4, m{"b": 2}, m{"a": 1, "b": 2})}, true},
		{"one is lost", []*operation{op(1, 2, m{"a": 1}, m{"a": 1}), op(3, 4, m{"b": 2}, m{"b": 2})}, false},
		{"at once, the later one first", []*operation{op(1, 9, m{"a": 1}, m{"a": 1, "b": 2}), op(2, 8, m{"b": 2}, m{"b": 2})}, true},
		{"at once, and neither sees the other", []*operation{op(1, 9, m{"a": 1}, m{"a": 1}), op(2, 8, m{"b": 2}, m{"b": 2})}, false},
		{"an old answer", []*operation{op(1, 2, m{"a": 1}, m{"a": 1}), op(3, 4, m{"a": 2}, m{"a": 2}), op(5, 6, nil, m{"a": 1})}, false},
		{"no answer, and it was done", []*operation{op(1, 0, m{"a": 1}, nil), op(3, 4, nil, m{"a": 1})}, true},
		{"no answer, and it was not done", []*operation{op(1, 0, m{"a": 1}, nil), op(3, 4, nil, m{})}, true},
		{"no answer, and it was done late", []*operation{op(1, 0, m{"a": 1}, nil), op(3, 4, nil, m{}), op(5, 6, nil, m{"a": 1})}, true},
		{"no answer, and it was done twice", []*operation{op(1, 0, m{"a": 1}, nil), op(2, 3, nil, m{"a": 1}), op(4, 5, nil, m{}, "a"), op(6, 7, nil, m{"a": 1})}, false},
		{"what was removed is back", []*operation{op(1, 2, m{"a": 1}, m{"a": 1}), op(3, 4, nil, m{}, "*"), op(5, 6, nil, m{"a": 1})}, false},
		{"done before it began", []*operation{op(1, 2, nil, m{"a": 1}), op(3, 4, m{"a": 1}, m{"a": 1})}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, why := (&history{operations: test.operations}).isLinear(); got != test.want {
				t.Errorf("%v: %s", got, why)
			}
		})
	}
}
