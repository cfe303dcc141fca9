package shared

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	const hour = time.Hour
	type sample struct{ ahead, trip time.Duration } // of this machine's clock; of the question
	for name, test := range map[string]struct {
		samples []sample
		want    time.Duration
	}{
		"as this machine's":      {nil, 0},
		"ahead":                  {[]sample{{hour, time.Millisecond}}, hour},
		"behind":                 {[]sample{{-hour, time.Millisecond}}, -hour},
		"set later":              {[]sample{{0, time.Millisecond}, {hour, time.Millisecond}}, hour},
		"a slow answer is aside": {[]sample{{hour, time.Millisecond}, {hour + 20*time.Second, time.Minute}}, hour},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			for _, s := range test.samples {
				c.set(0, s.trip, c.began.Add(s.ahead+s.trip/2))
			}
			if off := (time.Until(c.now()) - test.want).Abs(); off > 5*time.Second {
				t.Errorf("it is %v off", off)
			}
		})
	}
}
