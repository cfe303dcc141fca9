package transaction

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"

	"sipregd/internal/message"
)

// Over UDP anybody may write anybody's address into what he sends. Until a digest was
// right, an answer may go to a victim.
const (
	// amplification is how many bytes an answer may have for each of its request.
	amplification = 3

	// Answers that are no challenges go to one source, an IPv6 network of /64, and to
	// all of them together, so many a second, and at once after a pause.
	oneRate, oneBurst = 50, 200
	allRate, allBurst = 2000, 2000

	// lots is in how many sources are sorted: those of one lot share a rate.
	lots = 4096

	// setBack is what a clock goes back by that was set: readers are out of step by less.
	setBack = 10 * time.Second
)

// strangers bounds the answers to those who have proved nothing. The zero value, with
// seed, is one that nobody was answered by. It may be used by many goroutines at once.
type strangers struct {
	seed maphash.Seed // so that nobody chooses whom he shares a lot with
	one  [lots]pace
	all  pace
}

// mayAnswer tells whether another answer may go to a source, and counts it as given.
func (s *strangers) mayAnswer(source netip.Addr, now time.Time) bool {
	return s.one[s.lot(source)].take(now, time.Second/oneRate, oneBurst) && s.all.take(now, time.Second/allRate, allBurst)
}

func (s *strangers) lot(source netip.Addr) uint64 {
	address := source.Unmap().As16()
	if source.Is4() || source.Is4In6() {
		return maphash.Bytes(s.seed, address[:]) % lots
	}
	return maphash.Bytes(s.seed, address[:8]) % lots
}

// pace is when, in Unix nanoseconds, all that was taken so far would have been taken
// at an even pace.
type pace struct{ even atomic.Int64 }

// take takes one, unless those before were too many: one in each span, and as many at
// once as burst says.
func (p *pace) take(now time.Time, span time.Duration, burst int64) bool {
	for at := now.UnixNano(); ; {
		even := p.even.Load()
		next := max(even, at) + int64(span)
		switch most := at + int64(span)*burst; {
		case even > most+int64(setBack): // else nobody would be answered until the clock is there again
			next = at + int64(span)
		case next > most:
			return false
		}
		if p.even.CompareAndSwap(even, next) {
			return true
		}
	}
}

// isUnproven tells whether the answer may go to a victim.
func isUnproven(request *message.Request, response *message.Response) bool {
	return !request.Flow.Reliable() && !response.Keep
}

// replyToStranger renders a response that is no amplifier's: what may be left out of it
// is, where it would be too long, and if that does not help there is none. Challenges,
// which phones need, and answers to those whom the administrator vouches for are as many
// as there are requests.
func (l *Layer) replyToStranger(room []byte, request *message.Request, response *message.Response, tag uint64, now time.Time) Reply {
	if response.Status != 401 && !response.Vouched && !l.strangers.mayAnswer(request.Flow.Source.Addr(), now) {
		l.counters.tooMany.Add(1)
		return l.withhold(request)
	}
	most := amplification * request.Length
	reply := render(room, request, response.Own(), tag)
	if len(reply.Data)-len(room) > most {
		reply = render(room, request, message.Essential(response.Own()), tag)
	}
	if len(reply.Data)-len(room) > most {
		l.counters.tooLong.Add(1)
		return l.withhold(request)
	}
	l.counters.countAnswer(request.Method, response.Status)
	return reply
}

// withhold gives no answer.
func (l *Layer) withhold(request *message.Request) Reply {
	l.counters.countAnswer(request.Method, noAnswer)
	return Reply{}
}
