package main

import (
	"fmt"
	"time"
)

// span says a time in the two largest units that it has, such as "2 h 5 min".
func span(d time.Duration) string {
	seconds := int64(d.Round(time.Second) / time.Second)
	minutes, hours, days := seconds/60, seconds/3600, seconds/86400
	switch {
	case seconds < 1:
		return "0 s"
	case minutes < 1:
		return fmt.Sprintf("%d s", seconds)
	case hours < 1:
		return twoUnits(minutes, "min", seconds%60, "s", minutes < 5)
	case days < 1:
		return twoUnits(hours, "h", minutes%60, "min", true)
	}
	return twoUnits(days, "d", hours%24, "h", true)
}

// twoUnits leaves the second one out where it is nothing, or not wanted.
func twoUnits(large int64, largeUnit string, small int64, smallUnit string, both bool) string {
	if !both || small == 0 {
		return fmt.Sprintf("%d %s", large, largeUnit)
	}
	return fmt.Sprintf("%d %s %d %s", large, largeUnit, small, smallUnit)
}

// ago is span for what was, as seen from now. A clock that has gone back does not
// make it what will be.
func ago(now, then time.Time) string {
	if now.Sub(then) < time.Second {
		return "now"
	}
	return span(now.Sub(then)) + " ago"
}

// seconds is span for a number of them.
func seconds(n int64) string { return span(time.Duration(n) * time.Second) }
