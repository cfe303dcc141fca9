package main

import (
	"slices"
	"testing"
	"time"
)

func TestTimerEAndF(t *testing.T) {
	for _, test := range []struct {
		transport string
		sent      []time.Duration // again, and at last when the phone gives up
	}{
		{"UDP", []time.Duration{500 * ms, 1500 * ms, 3500 * ms, 7500 * ms, 8000 * ms}},
		{"TCP", []time.Duration{8000 * ms}},
	} {
		t.Run(test.transport, func(t *testing.T) {
			timers, p := newTimers(schedule(test.transport)), newPhone()
			began := time.Unix(0, 0)
			p.begin(began, began)
			timers.start(p, 0, began)
			var sent []time.Duration
			for at := time.Duration(0); at < 20*time.Second; at += 100 * ms {
				now := began.Add(at)
				for stage := range timers.stages {
					if timers.next(stage, now) == nil {
						continue
					}
					sent = append(sent, at)
					if !timers.givesUp(stage) {
						timers.start(p, stage+1, now)
					}
				}
			}
			if !slices.Equal(sent, test.sent) {
				t.Errorf("%v, want %v", sent, test.sent)
			}
		})
	}
}

func TestAnsweredRequestsAreNotSentAgain(t *testing.T) {
	began := time.Unix(0, 0)
	for _, test := range []struct {
		name   string
		answer func(*phone)
		fires  bool
	}{
		{"no answer", func(*phone) {}, true},
		{"complete", func(p *phone) { p.waiting = false }, false},
		{"another request since", func(p *phone) { p.next(began) }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			timers, p := newTimers(schedule("UDP")), newPhone()
			p.begin(began, began)
			timers.start(p, 0, began)
			test.answer(p)
			if fired := timers.next(0, began.Add(t1)) != nil; fired != test.fires {
				t.Errorf("fired: %v, want %v", fired, test.fires)
			}
		})
	}
}
