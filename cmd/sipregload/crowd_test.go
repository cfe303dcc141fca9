package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// callOf returns a number that tells phones of a test apart.
func callOf(request []byte) byte { return header(request, "Call-ID")[0] }

// A server with too much to do leaves some phones without an answer and puts
// others off: in a crowd that is counted, and otherwise it is a failure.
func TestOnlyInACrowdMayPhonesGoWithout(t *testing.T) {
	s := registrarOfTest(t, func(request, answer []byte) []byte {
		switch callOf(request) {
		case '1':
			return nil
		case '2':
			return bytes.Replace(answer, []byte("401 Unauthorized"), []byte("503 Service Unavailable"), 1)
		}
		return answer
	})
	for _, test := range []struct {
		name    string
		crowded bool
	}{{"in a crowd", true}, {"otherwise", false}} {
		t.Run(test.name, func(t *testing.T) {
			f, err := newFleet(s, scattered(4), newHost(), overUDP())
			if err != nil {
				t.Fatal(err)
			}
			defer f.close()
			f.timers = newTimers([]time.Duration{20 * ms, 20 * ms})
			now := time.Now()
			r := f.run(context.Background(), phase{rate: 1000, crowded: test.crowded, measured: span{now, now.Add(200 * ms)}})
			switch {
			case r.completed == 0 || r.resent == 0:
				t.Errorf("%d completed, %d sent again", r.completed, r.resent)
			case test.crowded && (r.err != nil || r.abandoned == 0 || r.putOff == 0 || r.begun == 0):
				t.Errorf("%d given up, %d put off, %d begun, %v", r.abandoned, r.putOff, r.begun, r.err)
			case !test.crowded && (r.failed != 2 || !errors.Is(r.err, errUnexpected) && !errors.Is(r.err, errNoAnswer)):
				t.Errorf("%d failed, %v", r.failed, r.err)
			}
		})
	}
}

func TestOverloadIsAPartOfTheTopRateOfItsRun(t *testing.T) {
	r := &overloadRow{
		top:   row{runs: []measurement{{perSecond: 1000}, {perSecond: 2000}, {perSecond: 1000}}},
		crowd: row{runs: []measurement{{perSecond: 900}, {perSecond: 1000}, {perSecond: 700}}},
		asked: []float64{3000, 6000, 3000},
	}
	for i, begun := range []int{6000, 6000, 5900} {
		r.crowd.runs[i].begun = begun
	}
	b := &benchmark{options: &options{rounds: 3, span: 2 * time.Second}}
	if got, want := r.kept(), (spread{0.7, 0.5, 0.9}); got != want {
		t.Errorf("%v of the top rate, want %v", got, want)
	}
	if got := b.achieved(r); got.low != 0.5 || got.high != 1 {
		t.Errorf("%v of what was asked", got)
	}
	var out bytes.Buffer
	if b.printOverload(&out, r); !strings.Contains(out.String(), "could not keep it up") {
		t.Errorf("%s\nwant it said that too little was offered", out.String())
	}
}
