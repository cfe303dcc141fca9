package main

import (
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	for _, test := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Second, "0 s"}, {0, "0 s"}, {499 * time.Millisecond, "0 s"}, {time.Second, "1 s"},
		{59 * time.Second, "59 s"}, {time.Minute, "1 min"}, {90 * time.Second, "1 min 30 s"},
		{5*time.Minute + 30*time.Second, "5 min"}, {58 * time.Minute, "58 min"}, {time.Hour, "1 h"},
		{2*time.Hour + 5*time.Minute, "2 h 5 min"}, {24 * time.Hour, "1 d"}, {75 * time.Hour, "3 d 3 h"},
	} {
		if got := span(test.d); got != test.want {
			t.Errorf("%v: got %q, want %q", test.d, got, test.want)
		}
	}
	if got := ago(noon, noon.Add(time.Hour)); got != "now" {
		t.Errorf("what is to come was %q", got)
	}
}
