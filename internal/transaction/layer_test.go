package transaction

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sipregd/internal/message"
)

// core answers 200 with the number of the request, and keeps that.
type core struct {
	mu       sync.Mutex
	answered int
	merged   int
	hold     chan struct{} // where it is set, Answer waits for it
	entered  chan struct{}
}

func (c *core) Answer(*message.Request, time.Time) *message.Response {
	if c.hold != nil {
		c.entered <- struct{}{}
		<-c.hold
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered++
	response := message.NewResponse(200, fmt.Sprint("Answer ", c.answered))
	response.Keep = true
	return response
}

func (c *core) Malformed(_ *message.Request, err *message.Error) *message.Response {
	return message.NewResponse(err.Status, err.Reason)
}

func (c *core) NotStored(*message.Request) *message.Response {
	return message.NewResponse(503, "Service Unavailable")
}

func (c *core) Merged(*message.Request) *message.Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.merged++
	return message.NewResponse(482, "Loop Detected")
}

var (
	start  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	source = netip.MustParseAddrPort("192.0.2.7:5060")
	udp    = message.Flow{Transport: "UDP", Source: source}
	tcp    = message.Flow{Transport: "TCP", Source: source}
)

// register is a REGISTER with credentials; the branch tells transactions apart.
func register(branch, callID string) []byte {
	return []byte("REGISTER sip:r SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=" + branch + "\r\n" +
		"From: <sip:a@r>;tag=f\r\nTo: <sip:a@r>\r\nCall-ID: " + callID + "\r\nCSeq: 1 REGISTER\r\n" +
		`Authorization: Digest username="a", realm="r", nonce="n", uri="sip:r", response="0"` + "\r\n\r\n")
}

func status(reply Reply) string {
	line, _, _ := bytes.Cut(reply.Data, []byte("\r\n"))
	return strings.TrimPrefix(string(line), "SIP/2.0 ")
}

func Test17_2_2_ARetransmissionGetsTheVeryBytesUntilTimerJ(t *testing.T) {
	c := &core{}
	l := NewLayer(c, 64<<20)
	request := register("z9hG4bK1", "c")
	first := l.Receive(nil, request, udp, start)
	for _, later := range []time.Duration{0, time.Second, 16 * time.Second, 32*time.Second - 1} {
		if again := l.Receive(nil, request, udp, start.Add(later)); !bytes.Equal(again.Data, first.Data) {
			t.Errorf("after %v: %s", later, status(again))
		}
	}
	if again := l.Receive(nil, request, udp, start.Add(32*time.Second)); status(again) != "200 Answer 2" {
		t.Errorf("after Timer J: %s", status(again))
	}
}

func Test17_2_2_TimerJIsZeroOverStreams(t *testing.T) {
	c := &core{}
	l := NewLayer(c, 64<<20)
	request := register("z9hG4bK1", "c")
	l.Receive(nil, request, tcp, start)
	if again := l.Receive(nil, request, tcp, start); status(again) != "200 Answer 2" {
		t.Errorf("got %s", status(again))
	}
}

func Test17_2_2_ARetransmissionBeforeTheAnswerIsDropped(t *testing.T) {
	c := &core{hold: make(chan struct{}), entered: make(chan struct{})}
	l := NewLayer(c, 64<<20)
	request := register("z9hG4bK1", "c")
	answer := make(chan Reply)
	go func() { answer <- l.Receive(nil, request, udp, start) }()
	<-c.entered
	if again := l.Receive(nil, request, udp, start); len(again.Data) != 0 {
		t.Errorf("got %s", status(again))
	}
	if other := l.Receive(nil, register("z9hG4bK2", "c"), udp, start); status(other) != "482 Loop Detected" {
		t.Errorf("the same request by another way: %s", status(other))
	}
	close(c.hold)
	if first := <-answer; status(first) != "200 Answer 1" {
		t.Errorf("got %s", status(first))
	}
}

func Test8_2_2_2_OnlyAnOngoingTransactionMerges(t *testing.T) {
	c := &core{}
	l := NewLayer(c, 64<<20)
	l.Receive(nil, register("z9hG4bK1", "c"), udp, start)
	for _, test := range []struct {
		name    string
		request []byte
		after   time.Duration
		want    string
	}{
		{"another branch", register("z9hG4bK2", "c"), time.Second, "482 Loop Detected"},
		{"another Call-ID", register("z9hG4bK3", "d"), time.Second, "200 Answer 2"},
		{"a To tag", bytes.Replace(register("z9hG4bK4", "c"), []byte("To: <sip:a@r>"), []byte("To: <sip:a@r>;tag=t"), 1), time.Second, "200 Answer 3"},
		{"after Timer J", register("z9hG4bK5", "c"), time.Minute, "200 Answer 4"},
	} {
		if got := status(l.Receive(nil, test.request, udp, start.Add(test.after))); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func Test17_2_3_Matching(t *testing.T) {
	tests := []struct {
		name   string
		change func(string) string
		from   string
		same   bool
	}{
		{"to the letter", nil, "192.0.2.7:5060", true},
		{"from another port", nil, "192.0.2.7:1024", true},
		{"from another address", nil, "192.0.2.8:5060", false},
		{"another sent-by", func(s string) string { return strings.Replace(s, "UDP 192.0.2.7:5060", "UDP 192.0.2.7:5061", 1) }, "192.0.2.7:5060", false},
		{"branch in another case", func(s string) string { return strings.Replace(s, "z9hG4bKa", "z9hG4bKA", 1) }, "192.0.2.7:5060", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := NewLayer(&core{}, 64<<20)
			request := string(register("z9hG4bKa", "c"))
			first := l.Receive(nil, []byte(request), udp, start)
			if test.change != nil {
				request = test.change(request)
			}
			flow := udp
			flow.Source = netip.MustParseAddrPort(test.from)
			again := l.Receive(nil, []byte(request), flow, start)
			if same := status(again) == status(first); same != test.same {
				t.Errorf("got %s", status(again))
			}
		})
	}
}

func Test17_2_3_WithoutTheCookieRFC2543Matches(t *testing.T) {
	l := NewLayer(&core{}, 64<<20)
	first := l.Receive(nil, register("1", "c"), udp, start)
	if again := l.Receive(nil, register("1", "c"), udp, start); !bytes.Equal(again.Data, first.Data) {
		t.Errorf("got %s", status(again))
	}
	if other := l.Receive(nil, register("1", "d"), udp, start); status(other) != "200 Answer 2" {
		t.Errorf("another Call-ID: %s", status(other))
	}
}

func Test18_2_2_WhereTheAnswerGoes(t *testing.T) {
	tests := []struct{ name, via, want string }{
		{"no rport: the port of sent-by", "192.0.2.9:5070;branch=z9hG4bK1", "192.0.2.7:5070"},
		{"no port: 5060", "phone.example;branch=z9hG4bK1", "192.0.2.7:5060"},
		{"rport: where it came from", "192.0.2.9:5070;branch=z9hG4bK1;rport", "192.0.2.7:33333"},
		{"maddr is not followed", "192.0.2.9:5070;branch=z9hG4bK1;maddr=198.51.100.1", "192.0.2.7:5070"},
		{"received of the phone's own is not believed", "192.0.2.9:5070;branch=z9hG4bK1;received=198.51.100.1", "192.0.2.7:5070"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			request := strings.Replace(string(register("z9hG4bK1", "c")), "192.0.2.7:5060;branch=z9hG4bK1", test.via, 1)
			flow := message.Flow{Transport: "UDP", Source: netip.MustParseAddrPort("192.0.2.7:33333")}
			if got := NewLayer(&core{}, 64<<20).Receive(nil, []byte(request), flow, start).To; got.String() != test.want {
				t.Errorf("to %v, want %s", got, test.want)
			}
		})
	}
}

func TestStatelessAnswersTakeNoMemory(t *testing.T) {
	l := NewLayer(&core{}, 64<<20)
	request, _, _ := strings.Cut(string(register("z9hG4bK1", "c")), "Authorization")
	for range 100 {
		l.Receive(nil, []byte(request+"\r\n"), udp, start)
	}
	if n := l.table.bytes(); n != 0 {
		t.Errorf("%d bytes are kept", n)
	}
}

func TestTheTableStaysWithinItsBound(t *testing.T) {
	const bound = 256 << 10
	l := NewLayer(&core{}, bound)
	for i := range 3000 {
		l.Receive(nil, register(fmt.Sprint("z9hG4bK", i), fmt.Sprint(i)), udp, start)
		if n := l.table.bytes(); n > bound {
			t.Fatalf("%d bytes after %d requests", n, i)
		}
	}
	if again := l.Receive(nil, register("z9hG4bK2999", "2999"), udp, start); status(again) != "200 Answer 3000" {
		t.Errorf("the newest is gone: %s", status(again))
	}
	if again := l.Receive(nil, register("z9hG4bK0", "0"), udp, start); status(again) != "200 Answer 3001" {
		t.Errorf("the oldest is there: %s", status(again))
	}
}

// Two transactions whose hashes are the same must not get at each other's
// response.
func TestAHashThatTwoShareGivesNobodyAnothersResponse(t *testing.T) {
	table := newTable(64 << 20)
	mine, yours := identity{key: 7, text: []byte("mine")}, identity{key: 7, text: []byte("yours")}
	table.begin(mine, start)
	table.end(mine, []byte("my response"), true, start)
	if state, got := table.begin(yours, start); state != unknown {
		t.Errorf("got %q", got)
	}
	if state, got := table.begin(mine, start); state != completed || string(got) != "my response" {
		t.Errorf("got %q", got)
	}
}

// bytes counts what is kept.
func (t *table) bytes() (sum int) {
	for i := range t.shards {
		sum += t.shards[i].answered.bytes()
	}
	return sum
}

func TestManyAtOnce(t *testing.T) {
	c := &core{}
	l := NewLayer(c, 64<<20)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for i := range 200 {
				l.Receive(nil, register(fmt.Sprint("z9hG4bK", i), fmt.Sprint(i)), udp, start)
			}
		})
	}
	wait.Wait()
	if c.answered != 200 {
		t.Errorf("200 requests were answered %d times", c.answered)
	}
}

// timing is a core whose answers announce how long a stream may be silent (RFC 5626 §4.4).
type timing struct{ *core }

func (c timing) Answer(request *message.Request, _ time.Time) *message.Response {
	response := request.Respond(200, "OK")
	if request.CallID == "timed" {
		response.Alive = 2 * time.Minute
	}
	return response
}

func TestAReplySaysHowLongTheStreamMayBeSilent(t *testing.T) {
	l := NewLayer(timing{&core{}}, 64<<20)
	for _, test := range []struct {
		callID string
		want   time.Duration
	}{{"timed", 2 * time.Minute}, {"other", 0}, {"timed", 2 * time.Minute}} {
		if reply := l.Receive(nil, register("z9hG4bK1", test.callID), tcp, start); reply.Alive != test.want {
			t.Errorf("%s: %v, want %v", test.callID, reply.Alive, test.want)
		}
	}
}
