package qualify

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/sipuri"
	"sipregd/internal/transaction"
)

func elsewhere(b *location.Binding) { b.Source = netip.MustParseAddrPort("203.0.113.9:40001") }

func withoutNAT(b *location.Binding) { b.NAT = false }

func overTCP(stream uint64) func(*location.Binding) {
	return func(b *location.Binding) { b.Transport, b.Stream = "TCP", stream }
}

// Within three minutes, who is asked how often?
func TestWhoIsAsked(t *testing.T) {
	for _, test := range []struct {
		name, keys  string
		alter       func(*location.Binding)
		least, most int
	}{
		{"behind NAT", "", func(*location.Binding) {}, 5, 7},
		{"with a way of its own", "", withoutNAT, 0, 0},
		{"with a way of its own, and the peer asks for it", "qualify_frequency = 60", withoutNAT, 3, 4},
		{"behind NAT, and the peer asks for more", "qualify_frequency = 10", func(*location.Binding) {}, 16, 20},
		{"behind NAT, and the peer asks for none", "qualify_frequency = 0", func(*location.Binding) {}, 0, 0},
		{"on a stream", "", overTCP(7), 5, 7},
		{"somebody else's stream", "", overTCP(0), 0, 0},
		{"no address that it came to, as before this was kept", "", func(b *location.Binding) { b.Local = netip.AddrPort{} }, 0, 0},
		{"no SIP URI", "", func(b *location.Binding) { b.Contact = "tel:+15550100" }, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, test.keys)
			b := l.bound("2001", test.alter)
			l.wait(3 * time.Minute)
			if n := len(l.sent); n < test.least || n > test.most {
				t.Errorf("asked %d times, want %d to %d", n, test.least, test.most)
			}
			if status, known := l.Status(b.ID); known != (test.most > 0) || known && status.State != Reachable {
				t.Errorf("got %+v, %v", status, known)
			}
		})
	}
}

func TestAPhoneIsAskedByItsFlow(t *testing.T) {
	l := newLab(t, "")
	b := l.bound("2001", overTCP(7), func(b *location.Binding) { b.Path = "<sip:p.example;lr>" })
	l.wait(6 * time.Second)
	if len(l.sent) != 1 {
		t.Fatalf("asked %d times", len(l.sent))
	}
	s := l.sent[0]
	if want := (message.Flow{Transport: "TCP", Source: phone, Local: here, Stream: 7}); s.flow != want {
		t.Errorf("got %+v, want %+v", s.flow, want)
	}
	if !strings.HasPrefix(s.text, "OPTIONS sip:2001@10.0.0.7:5062 SIP/2.0\r\n") ||
		!strings.Contains(s.text, "\r\nRoute: <sip:p.example;lr>\r\n") {
		t.Errorf("got %q", s.text)
	}
	status, trip := l.checkState(&b, Reachable), 20*time.Millisecond
	if status.RoundTrip != trip || status.Asked.Sub(begin) != s.after || !reflect.DeepEqual(l.trips, []time.Duration{trip}) {
		t.Errorf("got %+v, %v", status, l.trips)
	}
	if len(l.events) > 0 {
		t.Errorf("that it is there from the first is no event: %v", l.told())
	}
}

// A new phone is asked within five seconds, and not before its 200 is out.
func TestANewPhoneIsAskedSoon(t *testing.T) {
	l := newLab(t, "qualify_frequency = 3600")
	for i := range 100 {
		l.bound(fmt.Sprint(i))
	}
	l.wait(5*time.Second + tick)
	if n := len(l.sent); n != 100 {
		t.Errorf("asked %d times", n)
	}
	if first, last := l.sent[0].after, l.sent[len(l.sent)-1].after; first < 500*time.Millisecond || last-first < 3*time.Second {
		t.Errorf("from %v to %v", first, last)
	}
}

func TestNoAnswerMakesAPhoneUnreachable(t *testing.T) {
	l := newLab(t, "")
	l.answers = false
	b := l.bound("2001")
	for len(l.sent) == 0 {
		l.wait(tick)
	}
	l.wait(timeout - tick)
	l.checkState(&b, Unknown)
	l.wait(tick)
	l.checkState(&b, Unreachable)
	if !l.Unreachable(b.ID) || l.Unreachable(b.ID+1) {
		t.Error("Unreachable says something else")
	}
	if n := len(l.sent); n != 3 { // at 0, 0.5 and 1.5 s
		t.Errorf("sent %d times", n)
	}
	l.wait(time.Minute)
	l.answers = true
	l.wait(time.Minute)
	l.checkState(&b, Reachable)
	for _, e := range l.events {
		if e.Binding != b.ID {
			t.Errorf("%v is about %d, not %d", e.Kind, e.Binding, b.ID)
		}
	}
	want := []string{"unreachable no_answer: no answer to OPTIONS for 3 s", "reachable : it answers, after 20.0 ms"}
	if got := l.told(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if e := l.events[0]; e.AOR != aor || e.Label != "Kitchen" || e.Authname != "a" || e.Source != phone || e.Transport != "UDP" ||
		e.Contact != b.Contact || e.CallID != "" || e.Time.IsZero() {
		t.Errorf("got %+v", e)
	}
	if c := l.Counts(); c.States != [states]int{Reachable: 1} || c.Asked != c.Answered+c.Unanswered || c.Unanswered < 2 || c.Answered < 1 {
		t.Errorf("got %+v", c)
	}
}

// Where datagrams are dropped here, an answer that does not come says nothing, for a
// while.
func TestAnswersThatMayHaveBeenLostHere(t *testing.T) {
	for _, test := range []struct {
		name  string
		alter func(*location.Binding)
		loses func(l *lab, asked int) bool
		want  int // times that it is asked until it is unreachable
	}{
		{"no loss", func(*location.Binding) {}, func(*lab, int) bool { return false }, 1},
		{"loss before it was asked", func(*location.Binding) {}, func(_ *lab, asked int) bool { return asked == 0 }, 1},
		{"loss once", func(*location.Binding) {}, func(l *lab, asked int) bool { return asked == 1 && l.lost == 0 }, 2},
		{"loss all the time", func(*location.Binding) {}, func(*lab, int) bool { return true }, 1 + maxDoubt},
		{"loss, and it has a connection", overTCP(7), func(*lab, int) bool { return true }, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, "")
			l.answers = false
			b := l.bound("2001", test.alter)
			for steps := 0; !l.Unreachable(b.ID); steps++ {
				if test.loses(l, int(l.Counts().Asked)) {
					l.lost++
				}
				if l.wait(tick); steps > 1000 {
					t.Fatal("it never is")
				}
			}
			if asked := int(l.Counts().Asked); asked != test.want || len(l.events) != 1 {
				t.Errorf("asked %d times, want %d: %q", asked, test.want, l.told())
			}
		})
	}
}

func TestAnAnswerThatComesTooLate(t *testing.T) {
	l := newLab(t, "")
	l.answers = false
	b := l.bound("2001")
	l.wait(9 * time.Second)
	_, rest, _ := strings.Cut(l.sent[0].text, "\r\n")
	if l.Clients().Answer([]byte("SIP/2.0 200 OK\r\n"+rest), l.now) {
		t.Error("it was taken")
	}
	l.wait(time.Second)
	l.checkState(&b, Unreachable)
}

// Over UDP there is no connection, and what is wrong here may be over the next moment.
func TestAConnectionThatIsGoneIsUnreachableAtOnce(t *testing.T) {
	for _, test := range []struct {
		name  string
		alter func(*location.Binding)
		after time.Duration
		want  string
	}{
		{"a stream", overTCP(7), 0, "unreachable stream_gone: its connection is gone"},
		{"UDP", func(*location.Binding) {}, timeout, "unreachable no_answer: no answer to OPTIONS for 3 s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, "")
			l.fails = errGone
			b := l.bound("2001", test.alter)
			for len(l.sent) == 0 {
				l.checkState(&b, Unknown)
				l.wait(tick)
			}
			for end := l.now.Add(test.after); l.now.Before(end); {
				l.checkState(&b, Unknown)
				l.wait(tick)
			}
			l.checkState(&b, Unreachable)
			if got := l.told(); len(got) != 1 || got[0] != test.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

// What cannot be sent just now is as good as lost on its way.
func TestWhatCannotBeSentIsSentAgain(t *testing.T) {
	l := newLab(t, "")
	l.fails = fmt.Errorf("the network is away")
	b := l.bound("2001")
	for len(l.sent) == 0 {
		l.wait(tick)
	}
	l.fails = nil
	l.wait(time.Second)
	l.checkState(&b, Reachable)
	if len(l.sent) != 2 || l.sent[0].text != l.sent[1].text {
		t.Errorf("got %+v", l.sent)
	}
}

// A refresh that changes nothing is no reason to ask; another source is, and so is a
// phone that is back.
func TestARefresh(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers bool
		alter   func(*location.Binding)
		soon    bool
	}{
		{"from where it was", true, func(*location.Binding) {}, false},
		{"from another source", true, elsewhere, true},
		{"by another connection", true, overTCP(8), true},
		{"of one that was unreachable", false, func(*location.Binding) {}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, "qualify_frequency = 3600")
			l.answers = test.answers
			l.bound("2001")
			l.wait(time.Minute)
			l.sent, l.answers = nil, true
			b := l.bound("2001", test.alter)
			l.wait(10 * time.Second)
			if asked := len(l.sent) == 1; asked != test.soon {
				t.Errorf("sent %d times", len(l.sent))
			}
			if test.soon && l.sent[0].flow.Source != b.Source {
				t.Errorf("asked at %v", l.sent[0].flow.Source)
			}
			l.checkState(&b, Reachable)
		})
	}
}

// Whoever registers is there, and what was known of another way to it holds no more. It
// does not make room then before others.
func TestWhatIsKnownAfterARefresh(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers bool
		alter   func(*location.Binding)
		want    State
	}{
		{"reachable, from where it was", true, func(*location.Binding) {}, Reachable},
		{"reachable, from another source", true, elsewhere, Unknown},
		{"reachable, by another connection", true, overTCP(8), Unknown},
		{"unreachable, from where it was", false, func(*location.Binding) {}, Unknown},
		{"unreachable, from another source", false, elsewhere, Unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, "qualify_frequency = 60")
			l.bound("2001")
			l.wait(10 * time.Second)
			l.answers = test.answers
			l.wait(80 * time.Second)
			b := l.bound("2001", test.alter)
			status := l.checkState(&b, test.want)
			if known := status.RoundTrip > 0; known != (test.want == Reachable) || l.Unreachable(b.ID) {
				t.Errorf("got %+v", status)
			}
			want := [states]int{}
			if want[test.want] = 1; l.Counts().States != want {
				t.Errorf("got %+v", l.Counts())
			}
		})
	}
}

// Events of unreachable and reachable take turns, whatever the phone does meanwhile.
func TestEventsOfAPhoneThatIsBack(t *testing.T) {
	const unreachable, reachable = "unreachable no_answer: no answer to OPTIONS for 3 s", "reachable : it answers, after 20.0 ms"
	for _, test := range []struct {
		name  string
		alter func(*location.Binding)
	}{
		{"from where it was", func(*location.Binding) {}},
		{"from another source", elsewhere},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, "qualify_frequency = 3600")
			check := func(want ...string) {
				t.Helper()
				if got := l.told(); !reflect.DeepEqual(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			l.answers = false
			l.bound("2001")
			l.wait(10 * time.Second)
			check(unreachable)
			b := l.bound("2001", test.alter)
			check(unreachable)
			l.wait(10 * time.Second)
			l.checkState(&b, Unreachable)
			check(unreachable) // that is no news
			l.answers = true
			l.bound("2001", test.alter)
			l.wait(10 * time.Second)
			check(unreachable, reachable)
			l.answers = false
			l.bound("2001", overTCP(9))
			l.wait(10 * time.Second)
			check(unreachable, reachable, unreachable)
		})
	}
}

// A phone that unregisters while its end is found out: nothing is told of it after that.
func TestNothingIsToldOfWhatIsRemoved(t *testing.T) {
	l := newLab(t, "")
	l.answers = false
	l.bound("2001")
	for len(l.sent) == 0 {
		l.wait(tick)
	}
	l.wait(timeout - tick)
	l.thereupon = func() {
		l.store.RemoveIf(func(sipuri.AOR, *location.Binding) bool { return true }, func(aor sipuri.AOR, _ *location.Binding) {
			l.Record(journal.Event{Kind: journal.Removed, AOR: aor})
		})
	}
	l.wait(tick)
	if n := len(l.events); l.thereupon != nil || n != 2 || l.events[n-1].Kind != journal.Removed {
		t.Errorf("got %q", l.told())
	}
}

// A store that cannot save changes, or has not read yet what there is, refuses them all.
func TestAStoreThatRefusesChanges(t *testing.T) {
	l := newLab(t, "")
	b := l.bound("2001")
	l.answers, l.refuses = false, location.ErrNotDurable
	l.wait(10 * time.Second)
	if l.checkState(&b, Unreachable); len(l.events) != 1 {
		t.Errorf("got %q", l.told())
	}
}

// Asking changes nothing in the store: what has expired is left to those who tell of it.
func TestTheStoreStaysAsItIs(t *testing.T) {
	l := newLab(t, "")
	l.answers = false
	l.bound("2001")
	for len(l.sent) == 0 {
		l.wait(tick)
	}
	l.now = l.now.Add(2 * time.Hour)
	l.wait(time.Minute)
	expired := 0
	if l.store.Expire(l.now, func(sipuri.AOR, *location.Binding) { expired++ }); expired != 1 {
		t.Errorf("%d are told of as expired", expired)
	}
}

func TestAnOutcomeOfNothingThatWasAsked(t *testing.T) {
	l := newLab(t, "")
	l.take(&transaction.Outcome{ID: 7, Status: 200, Took: time.Second}, l.now)
	l.take(&transaction.Outcome{ID: 7}, l.now)
	if len(l.trips) > 0 || l.Counts() != (Counts{}) {
		t.Errorf("got %v, %+v", l.trips, l.Counts())
	}
}

// A phone that moves while it is asked was asked where it is no more.
func TestARefreshFromElsewhereWhileItIsAsked(t *testing.T) {
	l := newLab(t, "qualify_frequency = 3600")
	l.answers = false
	l.bound("2001")
	for len(l.sent) == 0 {
		l.wait(tick)
	}
	b := l.bound("2001", elsewhere)
	l.wait(timeout + tick)
	l.checkState(&b, Unknown)
	l.answers = true
	l.wait(5 * time.Second)
	l.checkState(&b, Reachable)
	if len(l.events) > 0 {
		t.Errorf("got %q", l.told())
	}
}

// Nor is it enough that it has answered there.
func TestARefreshFromElsewhereBeforeItAnswers(t *testing.T) {
	l := newLab(t, "qualify_frequency = 3600")
	l.answers = false
	l.bound("2001")
	for len(l.sent) == 0 {
		l.wait(tick)
	}
	b := l.bound("2001", elsewhere)
	l.answer(l.sent[0].text, l.now)
	l.wait(tick)
	l.checkState(&b, Unknown)
	l.answers, l.sent = true, nil
	if l.wait(5 * time.Second); len(l.sent) != 1 || l.sent[0].flow.Source.Port() != 40001 {
		t.Errorf("sent %+v", l.sent)
	}
}

// A phone that moves while its entry is looked at is asked soon, too.
func TestARefreshFromElsewhereWhileItIsLookedAt(t *testing.T) {
	l := newLab(t, "qualify_frequency = 3600")
	b := l.bound("2001")
	l.wait(10 * time.Second)
	l.sent, l.meanwhile = nil, func() {
		elsewhere(&b)
		l.Bound(l.peer(), aor, &b, l.now)
	}
	if l.wait(lookEvery); l.meanwhile != nil || len(l.sent) != 1 {
		t.Errorf("sent %+v", l.sent)
	}
}

func TestTurnsAreNotToTheSecond(t *testing.T) {
	l := newLab(t, "")
	l.bound("2001")
	l.wait(time.Hour)
	least, most := time.Hour, time.Duration(0)
	for i := range l.sent[1:] {
		between := l.sent[i+1].after - l.sent[i].after
		least, most = min(least, between), max(most, between)
	}
	if least < 27*time.Second || least > 28*time.Second || most < 32*time.Second || most > 33*time.Second+tick {
		t.Errorf("from %v to %v", least, most)
	}
}

// What is to be asked no more is forgotten.
func TestWhatIsAskedNoMore(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(l *lab)
	}{
		{"removed", func(l *lab) {
			l.store.RemoveIf(func(sipuri.AOR, *location.Binding) bool { return true }, nil)
		}},
		{"expired", func(l *lab) { l.now = l.now.Add(2 * time.Hour) }},
		{"behind NAT no more", func(l *lab) { l.bound("2001", withoutNAT) }},
		{"the peer asks for none any more", func(l *lab) { l.reload("qualify_frequency = 0") }},
	} {
		for _, answers := range []bool{true, false} { // false: it is gone while it is asked, or is unreachable
			t.Run(fmt.Sprintf("%s, answers %v", test.name, answers), func(t *testing.T) {
				l := newLab(t, "")
				l.answers = answers
				b := l.bound("2001")
				for len(l.sent) == 0 {
					l.wait(tick)
				}
				test.end(l)
				l.sent = nil
				l.wait(lookEvery + 5*time.Second)
				if status, known := l.Status(b.ID); known || len(l.turns) > 0 || l.Counts().States != [states]int{} {
					t.Errorf("still there: %+v, %+v", status, l.Counts())
				}
				if l.wait(time.Minute); len(l.events) > 0 {
					t.Errorf("got %q", l.told())
				}
			})
		}
	}
}

// An entry whose turn is far away does not outlive its binding for long.
func TestWhatIsGoneIsForgottenBeforeItsTurn(t *testing.T) {
	l := newLab(t, "qualify_frequency = 86400")
	l.bound("2001")
	l.wait(10 * time.Second)
	l.store.RemoveIf(func(sipuri.AOR, *location.Binding) bool { return true }, nil)
	l.wait(lookEvery + tick)
	if len(l.entries) > 0 || len(l.turns) > 0 {
		t.Errorf("%d entries and %d turns are left", len(l.entries), len(l.turns))
	}
}

func TestAfterAStartAllAreAskedWithinTheTimeFromOneToTheNext(t *testing.T) {
	l := newLab(t, "")
	const phones = 3000
	for i := range phones {
		l.bound(fmt.Sprint(i))
	}
	l.Qualifier, l.sent = l.qualifier(), nil // another life
	l.wait(31 * time.Second)
	seconds := map[int]int{}
	for _, s := range l.sent {
		seconds[int(s.after/time.Second)]++
	}
	for second := 1; second < 30; second++ {
		if n := seconds[second]; n < phones/30/2 || n > phones/30*2 {
			t.Errorf("%d in second %d: %v", n, second, seconds)
		}
	}
	if c := l.Counts(); c.States != [states]int{Reachable: phones} {
		t.Errorf("got %+v", c)
	}
}

func TestAReloadTakesInWhoIsToBeAskedNow(t *testing.T) {
	l := newLab(t, "qualify_frequency = 0")
	b := l.bound("2001", withoutNAT)
	l.wait(time.Minute)
	l.reload("qualify_frequency = 10")
	l.Reloaded()
	l.wait(11 * time.Second)
	l.checkState(&b, Reachable)

	l.reload("qualify_frequency = 3600")
	l.Reloaded()
	l.wait(time.Minute)
	l.reload("qualify_frequency = 5")
	l.Reloaded()
	l.sent = nil
	if l.wait(6 * time.Second); len(l.sent) == 0 {
		t.Error("it waits for the turn that it had before")
	}
}

// However many are due, a step asks so many at most, and so many wait for an answer.
func TestBounds(t *testing.T) {
	l := newLab(t, "qualify_timeout = 60")
	l.answers = false
	for i := range maxUnderWay + 10 {
		l.bound(fmt.Sprint(i), overTCP(7)) // which is not sent again
	}
	l.now = l.now.Add(10 * time.Second)
	l.Step(l.now)
	if len(l.sent) != maxAsked {
		t.Errorf("%d in one step", len(l.sent))
	}
	if late := l.Counts().Late; late <= 0 || late > 10*time.Second {
		t.Errorf("the next is %v late", late)
	}
	l.wait(40 * tick)
	if len(l.sent) != maxUnderWay {
		t.Errorf("%d under way", len(l.sent))
	}
}

// To see that a binding is there still takes no time from asking.
func TestLooksAreNoAsks(t *testing.T) {
	l := newLab(t, "qualify_frequency = 86400")
	const phones = 4 * maxAsked
	for i := range phones {
		l.bound(fmt.Sprint(i))
	}
	l.wait(10 * time.Second)
	if late := l.Counts().Late; late > 0 {
		t.Errorf("%v late, with nothing due", late)
	}
	l.now = l.now.Add(lookEvery)
	l.Step(l.now)
	if late, n := l.Counts().Late, len(l.sent); late > 0 || n != phones {
		t.Errorf("%v late, asked %d times", late, n)
	}
}

// Who steps just when a step is due misses nothing.
func TestStepsTellWhenTheNextIsDue(t *testing.T) {
	l := newLab(t, "")
	l.answers = false
	b := l.bound("2001")
	for steps := 0; !l.Unreachable(b.ID); steps++ {
		next := l.Step(l.now)
		if next.IsZero() || steps > 10 {
			t.Fatalf("after %d steps the next is at %v", steps, next)
		}
		l.now = next
	}
	if n := len(l.sent); n != 3 {
		t.Errorf("sent %d times", n)
	}
}

func TestNothingIsDueWhereNothingIsAsked(t *testing.T) {
	l := newLab(t, "")
	if next := l.Step(l.now); !next.IsZero() {
		t.Errorf("next at %v", next)
	}
	l.bound("2001")
	if next := l.Step(l.now); next.Sub(l.now) < 500*time.Millisecond || next.Sub(l.now) > 5*time.Second {
		t.Errorf("next in %v", next.Sub(l.now))
	}
}
