package main

import "testing"

// lanesOfTest has so many phones wait in each lane.
func lanesOfTest(inFlight int, waiting ...int) lanes {
	l := newLanes(len(waiting))
	for i, count := range waiting {
		for range count {
			l.rest(&phone{wire: &wire{lane: l.all[i]}})
		}
	}
	l.limit(inFlight)
	return l
}

func TestLanesShareWhatIsInFlight(t *testing.T) {
	for _, test := range []struct {
		name     string
		inFlight int
		waiting  []int
		busy     []int
	}{
		{"evenly", 4, []int{9, 9}, []int{2, 2}},
		{"more lanes than in flight", 2, []int{9, 9, 9, 9}, []int{0, 1, 0, 1}},
		{"one lane has too few", 4, []int{1, 9}, []int{1, 3}},
		{"no limit in an open loop", 0, []int{9, 9, 9}, []int{3, 3, 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := lanesOfTest(test.inFlight, test.waiting...)
			sum := 0
			for _, busy := range test.busy {
				sum += busy
			}
			for range sum {
				l.next()
			}
			for i, want := range test.busy {
				if got := l.all[i].busy; got != want {
					t.Errorf("lane %d: %d busy, want %d", i, got, want)
				}
			}
			if l.busy != sum {
				t.Errorf("%d busy, want %d", l.busy, sum)
			}
		})
	}
}

func TestTheLaneThatAnswersGoesOn(t *testing.T) {
	l := lanesOfTest(4, 9, 9)
	var fast *phone
	for range 4 {
		if p := l.next(); p.wire.lane == l.all[1] {
			fast = p
		}
	}
	for range 5 {
		l.end(fast)
		if fast = l.next(); fast.wire.lane != l.all[1] {
			t.Fatal("a lane has more in flight than its part")
		}
	}
}
