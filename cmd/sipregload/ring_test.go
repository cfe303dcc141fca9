package main

import "testing"

func TestRingKeepsTheOrder(t *testing.T) {
	var r ring[int]
	pushed, popped := 0, 0
	for _, step := range []struct{ push, pop int }{{40, 30}, {100, 20}, {1, 91}, {300, 300}} {
		for range step.push {
			r.push(pushed)
			pushed++
		}
		for range step.pop {
			if first := *r.first(); first != popped {
				t.Fatalf("%d is first, want %d", first, popped)
			}
			if got := r.pop(); got != popped {
				t.Fatalf("%d, want %d", got, popped)
			}
			popped++
		}
		if r.count != pushed-popped {
			t.Fatalf("%d are left, want %d", r.count, pushed-popped)
		}
	}
}
