package transaction

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"sipregd/internal/message"
)

// calls is a lab for INVITE server transactions: what was sent again.
type calls struct {
	*Layer
	finals *Finals
	sent   []sentAgain
	fails  error
}

type sentAgain struct {
	flow message.Flow
	data string
}

func newCalls(c Core, maxBytes int) *calls {
	l := &calls{}
	l.finals = NewFinals(func(flow message.Flow, data []byte) error {
		l.sent = append(l.sent, sentAgain{flow, string(data)})
		return l.fails
	}, maxBytes)
	l.Layer = NewLayer(c, 64<<20).Repeating(l.finals)
	return l
}

// invite is an INVITE; the branch tells transactions apart.
func invite(branch string) []byte {
	return []byte("INVITE sip:b@r SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5070;branch=" + branch + "\r\n" +
		"From: <sip:a@r>;tag=f\r\nTo: <sip:b@r>\r\nCall-ID: c-" + branch + "\r\nCSeq: 1 INVITE\r\n\r\n")
}

// of returns another request of an INVITE's transaction (§9.1, §17.1.1.3).
func of(method string, invite []byte) []byte {
	text := strings.ReplaceAll(string(invite), "INVITE", method)
	if method == "ACK" {
		text = strings.Replace(text, "To: <sip:b@r>", "To: <sip:b@r>;tag=0123", 1)
	}
	return []byte(text)
}

// stepTo steps each 100 ms and returns when something was sent, in ms.
func (l *calls) stepTo(from, to int) (sent []int) {
	for ms := from; ms <= to; ms += 100 {
		before := len(l.sent)
		if l.finals.Step(at(ms)); len(l.sent) > before {
			sent = append(sent, ms)
		}
	}
	return sent
}

var callFlow = message.Flow{Transport: "UDP", Source: source, Local: here}

// Timer G: 500 ms, doubled each time, up to 4 s, until the ACK or Timer H.
func Test17_2_1_TimerGSendsTheFinalResponseAgain(t *testing.T) {
	for _, test := range []struct {
		name string
		flow message.Flow
		ack  int // when it comes, in ms; 0: never
		want []int
	}{
		{"no ACK", callFlow, 0, []int{500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500}},
		{"ACK", callFlow, 1600, []int{500, 1500}},
		{"ACK at once", callFlow, 10, nil},
		{"a stream", tcp, 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newCalls(&core{}, 1<<20)
			room := append(make([]byte, 0, 4096), "before"...)
			first := l.Receive(room, invite("z9hG4bK1"), test.flow, start)
			data := string(first.Data[len(room):])
			overwritten := room[len(room):cap(room)]
			for i := range overwritten { // the next answer comes there
				overwritten[i] = '#'
			}
			var got []int
			if test.ack > 0 {
				got = l.stepTo(100, test.ack)
				for range 2 { // the second finds nothing (Timer I)
					if reply := l.Receive(nil, of("ACK", invite("z9hG4bK1")), test.flow, at(test.ack)); len(reply.Data) > 0 {
						t.Errorf("ACK is answered: %q", reply.Data)
					}
				}
			}
			got = append(got, l.stepTo(test.ack/100*100+100, 40000)...)
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("sent at %v, want %v", got, test.want)
			}
			for _, again := range l.sent {
				if want := netip.MustParseAddrPort("192.0.2.7:5070"); again.data != data || again.flow.Source != want || again.flow.Local != here {
					t.Fatalf("sent again: %+v", again)
				}
			}
			counts := l.Counts(at(40000))
			if gaveUp := test.ack == 0 && !test.flow.Reliable(); counts.Unacknowledged != 0 || (counts.NoACK > 0) != gaveUp || counts.Bytes > 4096 {
				t.Errorf("%+v", counts)
			}
		})
	}
}

func Test17_2_1_ACopyOfTheInviteGetsTheSameResponse(t *testing.T) {
	for name, flow := range map[string]message.Flow{"UDP": callFlow, "a stream": tcp} {
		t.Run(name, func(t *testing.T) {
			c := &core{}
			l := newCalls(c, 1<<20)
			first := l.Receive(nil, invite("z9hG4bK1"), flow, start)
			for _, ms := range []int{0, 400, 31900} {
				if again := l.Receive(nil, invite("z9hG4bK1"), flow, at(ms)); !bytes.Equal(again.Data, first.Data) || again.Rests || !again.Proved {
					t.Errorf("after %d ms: %+v", ms, again)
				}
			}
			if c.answered != 1 || first.Rests || !first.Proved {
				t.Errorf("answered %d times, at first %+v", c.answered, first)
			}
		})
	}
}

// §17.2.3: the same branch and sent-by; and nobody else's, whoever guesses it.
func Test17_2_3_WhichACKMatches(t *testing.T) {
	ack := of("ACK", invite("z9hG4bK1"))
	elsewhere := callFlow
	elsewhere.Source = netip.MustParseAddrPort("192.0.2.8:5060")
	otherPort := callFlow
	otherPort.Source = netip.MustParseAddrPort("192.0.2.7:4711")
	for _, test := range []struct {
		name    string
		ack     []byte
		flow    message.Flow
		matches bool
	}{
		{"the INVITE's", ack, callFlow, true},
		{"from another port", ack, otherPort, true},
		{"another branch", of("ACK", invite("z9hG4bK2")), callFlow, false},
		{"another sent-by", bytes.Replace(ack, []byte(":5070"), []byte(":5071"), 1), callFlow, false},
		{"another CSeq", bytes.Replace(ack, []byte("CSeq: 1"), []byte("CSeq: 2"), 1), callFlow, false},
		{"from elsewhere", ack, elsewhere, false},
		{"no ACK", of("CANCEL", invite("z9hG4bK1")), callFlow, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newCalls(&core{}, 1<<20)
			l.Receive(nil, invite("z9hG4bK1"), callFlow, start)
			l.Receive(nil, test.ack, test.flow, at(100))
			if left := l.Counts(start).Unacknowledged; (left == 0) != test.matches {
				t.Errorf("%d responses wait for an ACK", left)
			}
		})
	}
	l := newCalls(&core{}, 1<<20) // a client of RFC 2543
	l.Receive(nil, invite("1"), callFlow, start)
	if l.Receive(nil, of("ACK", invite("1")), callFlow, start); l.Counts(start).Unacknowledged != 0 {
		t.Error("an ACK of RFC 2543 matches nothing")
	}
}

// §9.2: 200, with the To tag of the INVITE's response, and that stays as it is.
func Test9_2_CancelOfAnInvite(t *testing.T) {
	for name, flow := range map[string]message.Flow{"UDP": callFlow, "a stream": tcp} {
		l := newCalls(&core{}, 1<<20)
		if got := status(l.Receive(nil, of("CANCEL", invite("z9hG4bK1")), flow, start)); !strings.HasPrefix(got, "481 ") {
			t.Errorf("%s: CANCEL of nothing gets %s", name, got)
		}
		first := l.Receive(nil, invite("z9hG4bK1"), flow, start)
		cancelled := l.Receive(nil, of("CANCEL", invite("z9hG4bK1")), flow, start)
		if status(cancelled) != "200 OK" || toOf(t, cancelled) != toOf(t, first) {
			t.Errorf("%s: CANCEL gets %q", name, cancelled.Data)
		}
		if again := l.Receive(nil, invite("z9hG4bK1"), flow, start); !bytes.Equal(again.Data, first.Data) {
			t.Errorf("%s: the CANCEL had an effect: %s", name, status(again))
		}
	}
}

// What proves nothing is answered without state: Timer G would send more to a forged
// address than came from there.
func TestStrangersInvitesLeaveNoState(t *testing.T) {
	l := newCalls(fickle{&core{}}, 1<<20)
	for i := range 3 {
		reply := l.Receive(nil, invite("z9hG4bK1"), callFlow, start)
		if got, want := status(reply), fmt.Sprint("200 Answer ", i+1); got != want || reply.Proved {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if sent := l.stepTo(0, 40000); len(sent) > 0 || l.Counts(start).Transactions != 0 {
		t.Errorf("sent again at %v; %+v", sent, l.Counts(start))
	}
}

// A proxy that has a call ring at two addresses sends two INVITEs which differ in their
// Request-URI; the same one by two ways is a loop (§8.2.2.2).
func Test8_2_2_2_WhichInvitesAreMerged(t *testing.T) {
	l := newCalls(&core{}, 1<<20)
	first := invite("z9hG4bK1")
	second := bytes.Replace(first, []byte("branch=z9hG4bK1"), []byte("branch=z9hG4bK2"), 1)
	for _, test := range []struct {
		name string
		data []byte
		want string
	}{
		{"first", first, "200 Answer 1"},
		{"by another way", second, "482 Loop Detected"},
		{"for another address", bytes.Replace(second, []byte("sip:b@r SIP"), []byte("sip:d@r SIP"), 1), "200 Answer 2"},
	} {
		if got := status(l.Receive(nil, test.data, callFlow, start)); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

// Where there is no more room, calls are answered all the same.
func TestFinalsHaveABound(t *testing.T) {
	l := newCalls(&core{}, 4096)
	l.fails = errors.New("no way there")
	for i := range 100 {
		if got := status(l.Receive(nil, invite(fmt.Sprint("z9hG4bK", i)), callFlow, start)); !strings.HasPrefix(got, "200 ") {
			t.Fatal(got)
		}
	}
	counts := l.Counts(start)
	if counts.Unacknowledged < 2 || counts.Unacknowledged > 16 || int(counts.NoRoom) != 100-counts.Unacknowledged || l.finals.bytes > 4096 {
		t.Errorf("%d bytes, %+v", l.finals.bytes, counts)
	}
	l.stepTo(0, 40000)
	if counts := l.Counts(start); counts.Unacknowledged != 0 || l.finals.bytes != 0 || l.finals.due.Len() != 0 {
		t.Errorf("%d bytes are left, %+v", l.finals.bytes, counts)
	}
}

// All that may happen to a transaction at once.
func TestFinalsAreUsedByMany(t *testing.T) {
	l := newCalls(&core{}, 1<<20)
	l.finals.send = func(message.Flow, []byte) error { return nil }
	done := make(chan struct{})
	for worker := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 500 {
				call := invite(fmt.Sprint("z9hG4bK", worker, "-", i))
				l.Receive(nil, call, callFlow, start)
				l.finals.Step(start.Add(time.Second))
				l.Receive(nil, of("ACK", call), callFlow, start)
			}
		}()
	}
	for range 4 {
		<-done
	}
	if left := l.Counts(start).Unacknowledged; left != 0 {
		t.Errorf("%d responses wait for an ACK", left)
	}
}

// §17.2.1: where the answer takes its time a copy of the INVITE gets 100, one of another
// request nothing (§17.2.2).
func Test17_2_1_ACopyBeforeTheAnswerGets100(t *testing.T) {
	for _, test := range []struct {
		name string
		data []byte
		flow message.Flow
		want string
	}{
		{"INVITE", invite("z9hG4bK1"), callFlow, "100 Trying"},
		{"INVITE over a stream", invite("z9hG4bK1"), tcp, "100 Trying"},
		{"REGISTER", register("z9hG4bK1", "c"), udp, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &core{hold: make(chan struct{}), entered: make(chan struct{})}
			l := newCalls(c, 1<<20)
			first := make(chan Reply)
			go func() { first <- l.Receive(nil, test.data, test.flow, start) }()
			<-c.entered
			copied := l.Receive(nil, test.data, test.flow, at(500))
			if got := status(copied); got != test.want {
				t.Errorf("the copy gets %q", got)
			}
			close(c.hold)
			if got := status(<-first); got != "200 Answer 1" || c.answered != 1 {
				t.Errorf("got %s, and %d answers", got, c.answered)
			}
		})
	}
}
