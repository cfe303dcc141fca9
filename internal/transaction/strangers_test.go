package transaction

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipregd/internal/message"
)

// refusing is a core that has a lot to say to who has proved nothing.
type refusing struct {
	core
	response *message.Response
}

func (r *refusing) Answer(*message.Request, time.Time) *message.Response { return r.response }

func challenges(count int) *message.Response {
	response := message.NewResponse(401, "Unauthorized")
	for i := range count {
		response.With("WWW-Authenticate", fmt.Sprintf(`Digest realm="r", nonce="%032d", algorithm=MD5, qop="auth"`, i))
	}
	return response
}

func TestAnswersToStrangersAreNoLongerThanThreeTimesTheRequest(t *testing.T) {
	unauthenticated := unauthenticated("REGISTER")
	kept := challenges(9)
	kept.Keep = true
	tests := []struct {
		name     string
		flow     message.Flow
		response *message.Response
		padding  int // bytes behind the request
		want     int // header fields of that name, -1: silence
		field    string
	}{
		{"what fits", udp, challenges(1), 0, 1, "WWW-Authenticate"},
		{"the first challenge is left", udp, challenges(4), 0, 1, "WWW-Authenticate"},
		{"padding is paid for", udp, challenges(4), 200, 4, "WWW-Authenticate"},
		{"on a stream nobody is hit", tcp, challenges(9), 0, 9, "WWW-Authenticate"},
		{"a digest was right", udp, kept, 0, 9, "WWW-Authenticate"},
		{"what may be left out is", udp, message.NewResponse(200, "OK").With("Supported", strings.Repeat("x", 900)), 0, 0, "Supported"},
		{"what has to be there is", udp, message.NewResponse(405, "No").With("Date", strings.Repeat("x", 900)).With("Allow", "REGISTER"), 0, 1, "Allow"},
		{"silence", udp, message.NewResponse(420, "Bad Extension").With("Unsupported", strings.Repeat("x", 900)), 0, -1, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := NewLayer(&refusing{response: test.response}, 64<<20)
			request := append(bytes.Clone(unauthenticated), make([]byte, test.padding)...)
			reply := l.Receive(make([]byte, 0, 4096), request, test.flow, start)
			if test.want < 0 {
				if len(reply.Data) > 0 || l.Counts(start).TooLong != 1 {
					t.Errorf("answered %q", reply.Data)
				}
				return
			}
			if got := strings.Count(string(reply.Data), "\r\n"+test.field+": "); got != test.want || len(reply.Data) == 0 {
				t.Errorf("%d times %s in %q", got, test.field, reply.Data)
			}
			if isUnproven(&message.Request{Flow: test.flow}, test.response) && len(reply.Data) > 3*len(request) {
				t.Errorf("%d bytes for %d", len(reply.Data), len(request))
			}
		})
	}
}

func TestAnswersToOneStrangerAreLimitedInRate(t *testing.T) {
	l := NewLayer(&core{}, 64<<20)
	for lot := (map[uint64]bool{}); len(lot) < 4; { // each in one of its own
		l, lot = NewLayer(&core{}, 64<<20), map[uint64]bool{}
		for _, address := range []string{"192.0.2.7", "192.0.2.8", "2001:db8::1", "2001:db8:0:1::2"} {
			lot[l.strangers.lot(netip.MustParseAddr(address))] = true
		}
	}
	answered := func(address string, count int, now time.Time) (answers int) {
		flow := message.Flow{Transport: "UDP", Source: netip.MustParseAddrPort(address)}
		for range count {
			if len(l.Receive(nil, unauthenticated("REGISTER", "Contact: <"), flow, now).Data) > 0 {
				answers++
			}
		}
		return answers
	}
	for _, test := range []struct {
		name    string
		address string
		after   time.Duration
		want    int
	}{
		{"at once", "192.0.2.7:5060", 0, oneBurst},
		{"from another port", "192.0.2.7:5061", 0, 0},
		{"a second later", "192.0.2.7:5060", time.Second, oneRate},
		{"another source", "192.0.2.8:5060", time.Second, oneBurst},
		{"IPv6", "[2001:db8::1]:5060", time.Second, oneBurst},
		{"of the same network", "[2001:db8::2]:5060", time.Second, 0},
		{"of another network", "[2001:db8:0:1::2]:5060", time.Second, oneBurst},
		{"the clock is set back", "192.0.2.8:5060", -time.Hour, oneBurst},
	} {
		if got := answered(test.address, 500, start.Add(test.after)); got != test.want {
			t.Errorf("%s: %d answers, want %d", test.name, got, test.want)
		}
	}
	if counts := l.Counts(start); counts.TooMany == 0 {
		t.Error("nothing was counted")
	}
}

// However many sources are forged.
func TestAnswersToAllStrangersAreLimitedInRate(t *testing.T) {
	s := strangers{seed: maphash.MakeSeed()}
	answers := 0
	for i := range 10 * allBurst {
		if s.mayAnswer(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), start) {
			answers++
		}
	}
	if answers != allBurst {
		t.Errorf("%d answers, want %d", answers, allBurst)
	}
}

// Phones need them: the rate of challenges is the guard's affair.
func TestChallengesAreNotLimitedInRate(t *testing.T) {
	l := NewLayer(&refusing{response: challenges(1)}, 64<<20)
	for i := range 10 * oneBurst {
		if len(l.Receive(nil, unauthenticated("REGISTER"), udp, start).Data) == 0 {
			t.Fatalf("challenge %d was withheld", i)
		}
	}
}
