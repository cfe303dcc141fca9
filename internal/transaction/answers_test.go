package transaction

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"sipregd/internal/message"
)

// unauthenticated is a REGISTER without credentials, of another method maybe.
func unauthenticated(method string, lines ...string) []byte {
	text, _, _ := strings.Cut(string(register("z9hG4bK1", "c")), "Authorization")
	return []byte(strings.ReplaceAll(text, "REGISTER", method) + strings.Join(append(lines, "", ""), "\r\n"))
}

// cancelOf returns the CANCEL for a request (§9.1).
func cancelOf(request []byte) []byte {
	text, _, _ := strings.Cut(string(request), "Authorization")
	return []byte(strings.ReplaceAll(text, "REGISTER", "CANCEL") + "\r\n")
}

func toOf(t *testing.T, reply Reply) string {
	t.Helper()
	_, to, found := strings.Cut(string(reply.Data), "\r\nTo: ")
	if !found {
		t.Fatalf("no To in %q", reply.Data)
	}
	to, _, _ = strings.Cut(to, "\r\n")
	return to
}

func TestWhatIsNeverAnswered(t *testing.T) {
	l := NewLayer(&core{}, 64<<20)
	unframed := &message.Error{Status: 400, Reason: "Missing Content-Length"}
	for name, data := range map[string][]byte{
		"ACK":                       unauthenticated("ACK"),
		"ACK that is malformed":     unauthenticated("ACK", "Contact: <"),
		"ACK with a blank behind":   bytes.Replace(unauthenticated("ACK"), []byte("SIP/2.0\r\n"), []byte("SIP/2.0 \r\n"), 1),
		"ACK of another version":    bytes.Replace(unauthenticated("ACK"), []byte("SIP/2.0\r\n"), []byte("SIP/3.0\r\n"), 1),
		"response":                  []byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\r\n"),
		"response that is nonsense": []byte("SIP/2.0 x\r\n\r\n"),
		"keepalive":                 []byte("\r\n\r\n"),
		"STUN":                      {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42},
		"nothing":                   nil,
	} {
		if reply := l.Receive(nil, data, udp, start); len(reply.Data) != 0 {
			t.Errorf("%s gets %s", name, status(reply))
		}
		if reply := l.Refuse(data, tcp, unframed); len(reply.Data) != 0 {
			t.Errorf("%s on a stream that cannot be framed gets %s", name, status(reply))
		}
	}
}

// What ended the framing of a stream is what the answer says.
func TestRefuseSaysWhatWasWrong(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		wrong *message.Error
	}{
		{"no Content-Length", nil, &message.Error{Status: 400, Reason: "Missing Content-Length"}},
		{"too large", []string{"Content-Length: 70000"}, &message.Error{Status: 513, Reason: "Message Over 65535 Bytes"}},
		{"malformed Content-Length", []string{"Content-Length: x"}, &message.Error{Status: 400, Reason: "Malformed Content-Length"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data := unauthenticated("REGISTER", test.lines...)
			if _, err := message.Frame(data); err == nil || err.Error() != test.wrong.Reason {
				t.Fatalf("Frame says %v", err)
			}
			reply := NewLayer(&core{}, 64<<20).Refuse(data, tcp, test.wrong)
			if want := fmt.Sprint(test.wrong.Status, " ", test.wrong.Reason); status(reply) != want {
				t.Errorf("got %s, want %s", status(reply), want)
			}
			if !strings.HasPrefix(toOf(t, reply), "<sip:a@r>;tag=") {
				t.Errorf("To: %s", toOf(t, reply))
			}
		})
	}
}

// §8.2.7: a stateless UAS computes the To tag, so that a retransmission gets
// the same; nobody else does.
func Test8_2_6_2_TheToTagOfStatelessAnswers(t *testing.T) {
	l := NewLayer(&core{}, 64<<20)
	for name, request := range map[string][]byte{
		"a first request": unauthenticated("REGISTER"),
		"a malformed one": unauthenticated("REGISTER", "Contact: <"),
	} {
		first := toOf(t, l.Receive(nil, request, udp, start))
		if again := toOf(t, l.Receive(nil, request, udp, start.Add(time.Hour))); again != first {
			t.Errorf("%s: %s, then %s", name, first, again)
		}
		other := bytes.Replace(request, []byte("z9hG4bK1"), []byte("z9hG4bK2"), 1)
		if other := toOf(t, l.Receive(nil, other, udp, start)); other == first {
			t.Errorf("%s: another branch gets the same tag", name)
		}
	}
	elsewhere := NewLayer(&core{}, 64<<20)
	if toOf(t, elsewhere.Receive(nil, unauthenticated("REGISTER"), udp, start)) == toOf(t, l.Receive(nil, unauthenticated("REGISTER"), udp, start)) {
		t.Error("the tag can be computed by anybody")
	}
}

func Test9_2_Cancel(t *testing.T) {
	const matched, unmatched = "200 OK", "481 Call/Transaction Does Not Exist"
	request := register("z9hG4bK1", "c")
	tests := []struct {
		name    string
		request []byte
		cancel  []byte
		after   time.Duration
		flow    message.Flow
		want    string
	}{
		{"nothing", nil, cancelOf(request), 0, udp, unmatched},
		{"a finished request", request, cancelOf(request), time.Second, udp, matched},
		{"another branch", request, cancelOf(register("z9hG4bK2", "c")), time.Second, udp, unmatched},
		{"after Timer J", request, cancelOf(request), time.Minute, udp, unmatched},
		{"over a stream, where Timer J is 0", request, cancelOf(request), 0, tcp, unmatched},
		{"a request of RFC 2543", register("1", "c"), cancelOf(register("1", "c")), 0, udp, matched},
		{"another request of RFC 2543", register("1", "c"), cancelOf(register("1", "d")), 0, udp, unmatched},
		{"what was answered without state", unauthenticated("REGISTER"), cancelOf(request), 0, udp, unmatched},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := NewLayer(&core{}, 64<<20)
			if test.request != nil {
				l.Receive(nil, test.request, test.flow, start)
			}
			if got := status(l.Receive(nil, test.cancel, test.flow, start.Add(test.after))); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// "the To tag of the response to the CANCEL and the To tag in the response to
// the original request SHOULD be the same"
func Test9_2_TheAnswerToCancelHasTheToTagOfTheRequest(t *testing.T) {
	l := NewLayer(&core{}, 64<<20)
	request := register("z9hG4bK1", "c")
	first, cancelled := l.Receive(nil, request, udp, start), l.Receive(nil, cancelOf(request), udp, start)
	if toOf(t, first) != toOf(t, cancelled) {
		t.Errorf("To: %s, of the CANCEL: %s", toOf(t, first), toOf(t, cancelled))
	}
}

// A request under way is a transaction, too, that a CANCEL matches.
func Test9_2_CancelOfARequestUnderWay(t *testing.T) {
	c := &core{hold: make(chan struct{}), entered: make(chan struct{})}
	l := NewLayer(c, 64<<20)
	request := register("z9hG4bK1", "c")
	answer := make(chan Reply)
	go func() { answer <- l.Receive(nil, request, udp, start) }()
	<-c.entered
	if got := status(l.Receive(nil, cancelOf(request), udp, start)); got != "200 OK" {
		t.Errorf("got %s", got)
	}
	close(c.hold)
	if first := <-answer; status(first) != "200 Answer 1" {
		t.Errorf("the CANCEL had an effect: %s", status(first))
	}
}

// Timer J and no longer, whatever comes before and meanwhile.
func Test17_2_2_TimerJWhileOthersCome(t *testing.T) {
	const there, gone = 31_999 * time.Millisecond, 32 * time.Second
	for pause := time.Second; pause < 20*time.Second; pause += 700 * time.Millisecond {
		for _, until := range []time.Duration{there, gone} {
			l := NewLayer(&core{}, 64<<20)
			request := register("z9hG4bK1", "c")
			others := func(from, to time.Duration) {
				for at := from; at < to; at += pause {
					l.Receive(nil, register(fmt.Sprint("z9hG4bK-other", at), fmt.Sprint(at)), udp, start.Add(at))
				}
			}
			others(-7900*time.Millisecond, 0)
			first := l.Receive(nil, request, udp, start)
			others(pause, until)
			again := l.Receive(nil, request, udp, start.Add(until))
			if same := bytes.Equal(again.Data, first.Data); same != (until == there) {
				t.Errorf("one every %v: after %v the same answer is %v", pause, until, same)
			}
		}
	}
}

// What the core does not want kept is judged anew.
func TestOnlyWhatIsToBeKeptIsKept(t *testing.T) {
	l := NewLayer(fickle{&core{}}, 64<<20)
	request := register("z9hG4bK1", "c")
	for i := range 3 {
		if got, want := status(l.Receive(nil, request, udp, start)), fmt.Sprint("200 Answer ", i+1); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	underway := 0
	for i := range l.table.shards {
		underway += len(l.table.shards[i].underway)
	}
	if underway != 0 || l.table.bytes() != 0 {
		t.Errorf("%d requests under way, %d bytes kept", underway, l.table.bytes())
	}
}

// fickle is a core whose answers are not kept.
type fickle struct{ *core }

func (f fickle) Answer(request *message.Request, now time.Time) *message.Response {
	response := f.core.Answer(request, now)
	response.Keep = false
	return response
}
