package transaction

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"sipregd/internal/message"
)

// asked is a lab for client transactions: what was sent, and what woke the caller.
type asked struct {
	*Clients
	sent  int
	woken int
	fails error
}

func newAsked() *asked {
	a := &asked{}
	a.Clients = NewClients(func(message.Flow, []byte) error { a.sent++; return a.fails }, func() { a.woken++ })
	return a
}

var here = netip.MustParseAddrPort("192.0.2.1:5060")

func outgoing(transport, branch string, id uint64) Outgoing {
	return Outgoing{ID: id, Branch: branch, Method: "OPTIONS", Data: []byte("OPTIONS " + branch), Timeout: 3 * time.Second,
		Flow: message.Flow{Transport: transport, Source: source, Local: here}}
}

// answerTo is a response as a phone sends it.
func answerTo(branch string, status int) string {
	return fmt.Sprintf("SIP/2.0 %d X\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;rport=5060;branch=z9hG4bK%s\r\nCSeq: 1 OPTIONS\r\n\r\n", status, branch)
}

func at(milliseconds int) time.Time { return start.Add(time.Duration(milliseconds) * time.Millisecond) }

// Timer E: 500 ms, doubled each time, up to 4 s (§17.1.2.2).
func Test17_1_2_2_RequestsAreSentAgainOverUDPAlone(t *testing.T) {
	for _, test := range []struct {
		name, transport string
		provisional     int   // when a 100 comes, in ms; 0: none
		want            []int // when the request is sent, in ms
	}{
		{"UDP", "UDP", 0, []int{0, 500, 1500, 3500, 7500, 11500, 15500}},
		{"UDP, proceeding", "UDP", 600, []int{0, 500, 1500, 5500, 9500, 13500}},
		{"a stream", "TCP", 0, []int{0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, o := newAsked(), outgoing(test.transport, "b", 1)
			o.Timeout = 17 * time.Second
			if err := a.Begin(o, start); err != nil {
				t.Fatal(err)
			}
			got := []int{0}
			for ms := 100; ms <= 20000; ms += 100 {
				before := a.sent
				ended := a.Step(at(ms))
				if a.sent > before {
					got = append(got, ms)
				}
				if ms == test.provisional && !a.Answer([]byte(answerTo("b", 100)), at(ms)) {
					t.Error("100 was not taken")
				}
				if want := ms == 17000; want != (len(ended) == 1) {
					t.Fatalf("at %d ms: %+v", ms, ended)
				}
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("sent at %v, want %v", got, test.want)
			}
			if a.Len() != 0 {
				t.Errorf("%d transactions are left", a.Len())
			}
		})
	}
}

func TestNextTellsWhenAStepIsDue(t *testing.T) {
	a := newAsked()
	if next := a.Next(); !next.IsZero() {
		t.Errorf("with nothing to do: %v", next)
	}
	_ = a.Begin(outgoing("TCP", "b1", 1), start)
	_ = a.Begin(outgoing("UDP", "b2", 2), at(100))
	for _, test := range []struct{ now, next int }{{100, 600}, {600, 1600}, {1600, 3000}, {3000, 3100}} {
		a.Step(at(test.now))
		if next := a.Next(); !next.Equal(at(test.next)) {
			t.Errorf("at %d: %v", test.now, next.Sub(start))
		}
	}
}

func Test17_1_3_AnswersAreMatched(t *testing.T) {
	for _, test := range []struct {
		name, answer string
		want         []Outcome // at 250 ms
	}{
		{"200", answerTo("b", 200), []Outcome{{7, 200, 250 * time.Millisecond, 0}}},
		{"any final status", answerTo("b", 486), []Outcome{{7, 486, 250 * time.Millisecond, 0}}},
		{"a provisional one does not end it", answerTo("b", 180), nil},
		{"another branch", answerTo("c", 200), nil},
		{"a branch that goes on", answerTo("bb", 200), nil},
		{"another method", strings.Replace(answerTo("b", 200), "OPTIONS", "REGISTER", 1), nil},
		{"another sent-by", strings.Replace(answerTo("b", 200), "192.0.2.1:5060", "192.0.2.2:5060", 1), nil},
		{"no sound response", strings.Replace(answerTo("b", 200), "CSeq", "X", 1), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAsked()
			l := NewLayer(&core{}, 64<<20).Answering(a.Clients)
			_ = a.Begin(outgoing("UDP", "b", 7), start)
			if reply := l.Receive(nil, []byte(test.answer), udp, at(250)); len(reply.Data) > 0 {
				t.Errorf("answered: %s", reply.Data)
			}
			ended := a.Step(at(300))
			if !reflect.DeepEqual(ended, test.want) {
				t.Errorf("got %+v, want %+v", ended, test.want)
			}
			if a.woken != len(test.want) {
				t.Errorf("woken %d times", a.woken)
			}
			matched := test.want != nil || strings.Contains(test.answer, "180")
			if ignored := l.Counts(start).Ignored; (ignored == 0) != matched {
				t.Errorf("%d ignored", ignored)
			}
		})
	}
}

func TestAnAnswerCountsOnce(t *testing.T) {
	a := newAsked()
	_ = a.Begin(outgoing("UDP", "b", 7), start)
	if !a.Answer([]byte(answerTo("b", 200)), at(10)) || a.Answer([]byte(answerTo("b", 200)), at(20)) {
		t.Error("the second answer was taken, or the first was not")
	}
	if ended := a.Step(at(5000)); len(ended) != 1 || a.sent != 1 {
		t.Errorf("got %+v, sent %d times", ended, a.sent)
	}
}

// The clock of what came may be a little behind that of what was sent.
func TestNoAnswerTookLessThanNoTime(t *testing.T) {
	a := newAsked()
	_ = a.Begin(outgoing("UDP", "b", 7), at(10))
	a.Answer([]byte(answerTo("b", 200)), at(9))
	if ended := a.Step(at(20)); len(ended) != 1 || ended[0].Took != 0 {
		t.Errorf("got %+v", ended)
	}
}

func TestWhatCannotBeSentIsNoTransaction(t *testing.T) {
	a := newAsked()
	a.fails = errors.New("no such flow")
	if err := a.Begin(outgoing("TCP", "b", 7), start); err != a.fails {
		t.Errorf("got %v", err)
	}
	if ended := a.Step(at(10000)); len(ended) != 0 || !a.Next().IsZero() || a.Len() != 0 {
		t.Errorf("got %+v, %v, %d open", ended, a.Next(), a.Len())
	}
}

// Several ask, and each gets the answers to its own requests.
func TestSeveralAsk(t *testing.T) {
	one, other := newAsked(), newAsked()
	l := NewLayer(&core{}, 64<<20).Answering(one.Clients).Answering(other.Clients)
	for _, begin := range []struct {
		by     *asked
		branch string
		id     uint64
	}{{one, "a", 1}, {other, "b", 2}} {
		if err := begin.by.Begin(outgoing("UDP", begin.branch, begin.id), start); err != nil {
			t.Fatal(err)
		}
	}
	for _, branch := range []string{"b", "a", "c"} {
		l.Receive(nil, []byte(answerTo(branch, 200)), udp, at(100))
	}
	for id, a := range []*asked{1: one, 2: other} {
		if a == nil {
			continue
		}
		if ended := a.Step(at(100)); len(ended) != 1 || ended[0].ID != uint64(id) || a.woken != 1 {
			t.Errorf("%d got %+v", id, ended)
		}
	}
	if ignored := l.Counts(start).Ignored; ignored != 1 {
		t.Errorf("%d ignored", ignored)
	}
}
