package transport

import "time"

// aliveness is what is known of how often a phone says that it is there.
type aliveness struct {
	announced time.Duration // what the phone was told by Flow-Timer, 0: nothing
	pings     bool          // it has sent a ping
}

// limit returns how long the phone may be silent, where idle is what one may that was
// told nothing. One that was told and sends pings has half as long again (RFC 5626 §4.4
// wants a grace), one that sends none, as a browser, says nothing by its silence.
func (a aliveness) limit(idle time.Duration) time.Duration {
	if a.announced == 0 || !a.pings {
		return idle
	}
	return min(idle, a.announced+a.announced/2+deadlineSlack)
}

// countPings takes down those that came just now.
func (s *stream) countPings() {
	if s.splitter.pings > 0 {
		s.alive.pings = true
		s.all.pings.Add(uint64(s.splitter.pings))
	}
}
