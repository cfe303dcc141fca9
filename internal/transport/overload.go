package transport

import (
	"bytes"
	"time"
)

const (
	// overloadAfter is how long the kernel's queue has to stay half full before
	// anything is dropped: a burst is over by then.
	overloadAfter = 100 * time.Millisecond

	leastAdmitted = 16 // datagrams of a batch that are handled in any case
)

// overload picks what of a batch is handled where more comes than can be: whoever
// has credentials in hand is half done and goes first, with answers, which cost next
// to nothing, and of all others as many as there is time for, those of known sources
// before strangers. The rest is dropped unread, since phones ask again, and later each
// time (RFC 3261 §17.1.2.2).
type overload struct {
	since     time.Time // when too much began to wait; zero: it does not
	admitted  int       // how many without credentials are handled of a batch; 0: all
	picked    []int
	others    []int
	strangers []int // of sources that are not known
	thinning
}

// see takes down whether too much waited when a batch, of that size at most, was
// taken. Then fewer strangers are let in, else some more.
func (o *overload) see(tooMuch bool, size int, now time.Time) {
	switch {
	case !tooMuch:
		o.since = time.Time{}
		if o.admitted > 0 {
			o.admitted += leastAdmitted / 2
		}
		if o.admitted >= size {
			o.admitted = 0
		}
	case o.since.IsZero():
		o.since = now
	case o.admitted > 0:
		o.admitted = max(o.admitted*3/4, leastAdmitted)
	case now.Sub(o.since) >= overloadAfter:
		o.admitted = size / 2
	}
}

// pick returns which of some datagrams of a batch to handle, and how many of known
// sources it leaves out.
func (o *overload) pick(of []int, known []bool, data func(i int) []byte) (picked []int, leftOut int) {
	if o.admitted == 0 {
		return of, 0
	}
	o.picked, o.others, o.strangers = o.picked[:0], o.others[:0], o.strangers[:0]
	for _, i := range of {
		switch {
		case o.goesFirst(data(i)):
			o.picked = append(o.picked, i)
		case known[i]:
			o.others = append(o.others, i)
		default:
			o.strangers = append(o.strangers, i)
		}
	}
	others := min(len(o.others), o.admitted)
	strangers := min(len(o.strangers), o.admitted-others)
	o.picked = append(append(o.picked, o.others[:others]...), o.strangers[:strangers]...)
	return o.picked, len(o.others) - others
}

// goesFirst tells whether a datagram is handled in any case, and learns from it how long
// requests are.
func (o *overload) goesFirst(data []byte) bool {
	if isAnswer(data) {
		return true
	}
	credentials := hasCredentials(data)
	if mayBeRequest(data) {
		o.thinning.learn(len(data), credentials)
	}
	return credentials
}

// hasCredentials is a look that costs next to nothing, at the spelling that phones
// use.
func hasCredentials(data []byte) bool { return bytes.Contains(data, []byte("uthorization:")) }

// isAnswer tells a response, such as a phone gives that was asked whether it is there,
// by how its first line begins (RFC 3261 §7.2).
func isAnswer(data []byte) bool { return len(data) >= 4 && string(data[:4]) == answerBegin }

const answerBegin = "SIP/"

// mayBeRequest tells what begins with a letter from keepalives, STUN or line ends: so
// short, many of them would make the usual request without credentials look long.
func mayBeRequest(data []byte) bool { return len(data) > 0 && data[0] >= 'A' }
