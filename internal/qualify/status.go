package qualify

import "time"

// State tells whether a phone is there.
type State uint8

// The states of a binding.
const (
	Unknown     State = iota // it was not asked yet, or has registered by another flow or come back since
	Reachable                // it has answered, whatever that was
	Unreachable              // it did not answer in time, or its connection is gone
	states
)

// Status is what is known of a binding that is asked.
type Status struct {
	State     State
	RoundTrip time.Duration // of the last answer; 0: there was none yet
	Asked     time.Time     // last; zero: not yet
}

// Status returns what is known of the binding of that ID. Not known: it is not asked.
func (q *Qualifier) Status(id uint64) (status Status, known bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.entries[id]
	if e == nil {
		return Status{}, false
	}
	status = Status{State: e.state, RoundTrip: e.trip}
	if e.asked > 0 {
		status.Asked = q.begun.Add(e.asked)
	}
	return status, true
}

// Unreachable tells whether the binding of that ID was asked and is unreachable.
func (q *Qualifier) Unreachable(id uint64) bool {
	status, _ := q.Status(id)
	return status.State == Unreachable
}

// Counts is what a qualifier has done so far.
type Counts struct {
	Asked      uint64      // requests, without those that were sent again
	Answered   uint64      // of them
	Unanswered uint64      // of them, or not even sent as the connection was gone
	States     [states]int // how many bindings are in each now

	Late time.Duration // how long the one that is next has been due
}

// Counts returns what has been done until now.
func (q *Qualifier) Counts() Counts {
	q.mu.Lock()
	defer q.mu.Unlock()
	counts := q.counts
	if len(q.turns) > 0 {
		counts.Late = max(q.moment(q.Clock())-q.turns[0].look, 0)
	}
	return counts
}
