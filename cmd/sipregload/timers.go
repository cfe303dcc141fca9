package main

import "time"

const ms = time.Millisecond

// Timers of a request (RFC 3261 §17.1.2.2).
const (
	t1     = 500 * time.Millisecond
	t2     = 4 * time.Second
	timerF = 16 * t1 // not 64*T1: a run is over by then
)

// schedule is how long a phone waits before it sends again, each time; after
// the last wait it gives up. Over a stream nothing is sent again.
func schedule(transport string) []time.Duration {
	var waits []time.Duration
	rest := timerF
	if transport == "UDP" {
		for e := t1; e < rest; e = min(2*e, t2) {
			waits = append(waits, e)
			rest -= e
		}
	}
	return append(waits, rest)
}

// timers wait for requests that are not answered in time. All that wait for one
// stage wait equally long, so that each stage is a queue in order of time.
type timers struct {
	waits  []time.Duration
	stages []ring[timer]
}

type timer struct {
	phone *phone
	cseq  int32
	due   time.Time
}

func newTimers(waits []time.Duration) timers {
	return timers{waits, make([]ring[timer], len(waits))}
}

// start has a phone's latest request wait for a stage.
func (t *timers) start(p *phone, stage int, now time.Time) {
	t.stages[stage].push(timer{p, p.cseq, now.Add(t.waits[stage])})
}

// next returns a phone that has waited for a stage in vain, nil if none has.
func (t *timers) next(stage int, now time.Time) *phone {
	for queue := &t.stages[stage]; queue.count > 0 && !queue.first().due.After(now); {
		if fired := queue.pop(); fired.phone.waiting && fired.phone.cseq == fired.cseq {
			return fired.phone
		}
	}
	return nil
}

// givesUp tells whether the stage is Timer F.
func (t *timers) givesUp(stage int) bool { return stage == len(t.waits)-1 }

// clear forgets all: nobody waits any more.
func (t *timers) clear() { *t = newTimers(t.waits) }
