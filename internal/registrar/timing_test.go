package registrar_test

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sipregd/internal/digest"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/race"
	"sipregd/internal/transport"
)

// What can be told of a name by how long an answer takes: what is asked twice has the
// same status, and one of the two names is there.
var timed = []struct {
	name           string
	known, unknown func(l *lab, number int) *phone
	authorized     bool
	isLogged       bool
}{
	{"an authname", func(l *lab, n int) *phone { return l.guesser(fmt.Sprintf("known-%04d", n), "2001") },
		func(l *lab, n int) *phone { return l.guesser(fmt.Sprintf("nobody%04d", n), "2001") }, true, false},
	{"an authname that is not enabled", func(l *lab, n int) *phone { return l.guesser(fmt.Sprintf("closed%04d", n), "2001") },
		func(l *lab, n int) *phone { return l.guesser(fmt.Sprintf("nobody%04d", n), "2001") }, true, false},
	{"an authname of another algorithm", func(l *lab, n int) *phone { return l.guesser(fmt.Sprintf("sha256%04d", n), "2001") },
		func(l *lab, n int) *phone { return l.guesser(fmt.Sprintf("nobody%04d", n), "2001") }, true, true},
	{"an AOR, by credentials", func(l *lab, n int) *phone { return l.guesser("nobody0000", fmt.Sprintf("%04d", n)) },
		func(l *lab, n int) *phone { return l.guesser("nobody0000", fmt.Sprintf("%04d", 9000+n)) }, true, false},
	{"an AOR", func(l *lab, n int) *phone { return l.guesser("nobody0000", fmt.Sprintf("%04d", n)) },
		func(l *lab, n int) *phone { return l.guesser("nobody0000", fmt.Sprintf("%04d", 9000+n)) }, false, false},
}

const (
	timedNames  = 256  // of each kind, so that none is better known to the processor
	timedRounds = 8    // one of them has to do: a machine that does something else disturbs some
	timedPairs  = 3000 // of answers in a round

	// mostTold is how much better than by chance an answer's time may tell one name from
	// another on the wire, of 1; and by how much of them the quantiles may differ.
	mostTold = 0.15
	// mostInside is by how much quantiles may differ of what the daemon itself does. To
	// find a peer and not to find one differ by 3 %, to compute no digest by 16 %.
	mostInside = 0.09
)

// TestTimeTellsNoNames asks of names that are there and of others in turns, and compares
// both distributions: each time with each (the rank sum of Mann and Whitney), and the
// quantiles. make test runs it without the race detector, whose own time is another.
func TestTimeTellsNoNames(t *testing.T) {
	if race.Enabled() {
		t.Skip("the race detector takes more than what is measured")
	}
	for _, test := range timed {
		t.Run(test.name+", over UDP", func(t *testing.T) {
			compare(t, test.known, test.unknown, test.authorized, overUDP, mostTold, mostTold)
		})
		if test.isLogged { // of one more is told in the log: a microsecond
			continue
		}
		t.Run(test.name+", inside", func(t *testing.T) {
			compare(t, test.known, test.unknown, test.authorized, inside, 1, mostInside)
		})
	}
}

func compare(t *testing.T, known, unknown func(l *lab, number int) *phone, authorized bool,
	exchange func(l *lab) func([]byte) time.Duration, mostTold, mostApart float64) {
	l := timingLab(t)
	ask := exchange(l)
	these, others := l.probes(known, authorized), l.probes(unknown, authorized)
	for range timedRounds {
		a, b := take(ask, these, others)
		told, apart := advantage(a, b), differences(a, b)
		t.Logf("tells %.3f better than by chance, quantiles differ by %.3f; %.2f and %.2f would do", told, apart, mostTold, mostApart)
		if told <= mostTold && apart <= mostApart {
			return
		}
	}
	t.Error("how long an answer takes tells whether a name is there")
}

// The test would see it: a digest that is not computed for a name of nobody, and less.
func TestATimeThatTellsIsSeen(t *testing.T) {
	const usual, more = 10 * time.Microsecond, 700 * time.Nanosecond
	var a, b []time.Duration
	for range timedPairs {
		noise := func() time.Duration { return time.Duration(rand.ExpFloat64() * float64(time.Microsecond)) }
		a, b = append(a, usual+more+noise()), append(b, usual+noise())
	}
	if told := advantage(a, b); told < 2*mostTold {
		t.Errorf("told just %.3f", told)
	}
	if told, differ := advantage(b, b), differences(b, b); told > 0.01 || differ > 0 {
		t.Errorf("the same is told apart: %.3f, %.3f", told, differ)
	}
}

// timingLab is a registrar of many peers with the journal that the daemon has.
func timingLab(t *testing.T) *lab {
	log := journal.NewLog(zerolog.New(io.Discard))
	peers := ""
	for n := range timedNames {
		peers += fmt.Sprintf("[%d]\nauthname = known-%04d\nsecret = s\naorname = %04d\n[c%d]\nauthname = closed%04d\nsecret = s\nenabled = no\naorname = c%d\n"+
			"[s%d]\nauthname = sha256%04d\nsecret = s\nalgorithm = SHA-256\naorname = s%d\n", n, n, n, n, n, n, n, n, n)
	}
	l := newLab(t, withJournal(journal.NewRecorder(8<<20, time.Now, log)), withPeers(peers), withAlgorithms(digest.SHA256, digest.MD5))
	for n := range timedNames { // AORs that are there are bound
		p := l.guesser(fmt.Sprintf("known-%04d", n), fmt.Sprintf("%04d", n))
		p.secret, p.callID = "s", fmt.Sprint("call-of-", n)
		p.register(kitchenContact).want(200)
	}
	return l
}

// guesser is a phone that does not know the secret.
func (l *lab) guesser(authname, aor string) *phone {
	p := l.phone(authname, "wrong", aor)
	p.callID = "call-of-all"
	return p
}

// probes returns requests of the same length, each of another name.
func (l *lab) probes(of func(l *lab, number int) *phone, authorized bool) [][]byte {
	var requests [][]byte
	for n := range timedNames {
		p := of(l, n)
		l.branch, p.cseq = 1000+n, 100
		text := p.request(kitchenContact)
		if authorized {
			p.challenge()
			p.nc, l.branch, p.cseq = 1, 1000+n, 100
			text = p.request(p.authorization(), kitchenContact)
		}
		requests = append(requests, []byte(text))
	}
	return requests
}

// inside asks without a socket.
func inside(l *lab) func([]byte) time.Duration {
	room := make([]byte, 0, 4096)
	data := make([]byte, 4096)
	return func(request []byte) time.Duration {
		message := data[:copy(data, request)]
		began := time.Now()
		answer := l.layer.Receive(room, message, phoneFlow, l.now)
		took := time.Since(began)
		if len(answer.Data) == 0 {
			l.t.Fatal("no answer")
		}
		return took
	}
}

// overUDP asks as strangers do.
func overUDP(l *lab) func([]byte) time.Duration {
	s, err := transport.Listen(transport.Addresses{UDP: []string{"127.0.0.1:0"}}, nil, time.Hour, func(err error) { l.t.Error(err) })
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { s.Close() })
	s.Serve(l.layer, inMemory{})
	conn, err := net.Dial("udp", s.Addresses()[0][len("udp "):])
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { conn.Close() })
	answer := make([]byte, 4096)
	return func(request []byte) time.Duration {
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		began := time.Now()
		if _, err := conn.Write(request); err != nil {
			l.t.Fatal(err)
		}
		if _, err := conn.Read(answer); err != nil {
			l.t.Fatal(err)
		}
		return time.Since(began)
	}
}

// inMemory is a store that has nothing to wait for.
type inMemory struct{}

func (inMemory) Begin() location.Mark       { return 0 }
func (inMemory) Commit(location.Mark) error { return nil }

// take asks in turns, in each pair one of both first.
func take(ask func([]byte) time.Duration, known, unknown [][]byte) (a, b []time.Duration) {
	for i := range timedPairs {
		one, other := known[i%len(known)], unknown[i%len(unknown)]
		if rand.IntN(2) == 0 {
			a = append(a, ask(one))
			b = append(b, ask(other))
		} else {
			b = append(b, ask(other))
			a = append(a, ask(one))
		}
	}
	return a, b
}

// advantage returns how much better than by chance one guesses which of two times is of
// which kind: 0 not at all, 1 each time.
func advantage(a, b []time.Duration) float64 {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	var wins float64
	for _, each := range a {
		below, _ := slices.BinarySearch(b, each)
		notAbove, _ := slices.BinarySearch(b, each+1)
		wins += float64(below) + float64(notAbove-below)/2
	}
	return math.Abs(2*wins/float64(len(a)*len(b)) - 1)
}

// differences returns by how much of them the quantiles differ, at most.
func differences(a, b []time.Duration) (most float64) {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	for _, percent := range []int{10, 25, 50, 75, 90} {
		x, y := float64(a[len(a)*percent/100]), float64(b[len(b)*percent/100])
		most = max(most, math.Abs(x-y)/max(x, y))
	}
	return most
}
