package message

import (
	"net/netip"
	"strings"
	"testing"
)

const soundAnswer = "SIP/2.0 200 OK\r\n" +
	"Via: SIP/2.0/UDP 192.0.2.1:5060;rport=5060;received=192.0.2.1;branch=z9hG4bKx1\r\n" +
	"From: <sip:sipregd@192.0.2.1:5060>;tag=f\r\nTo: <sip:2001@192.0.2.7>;tag=t\r\n" +
	"Call-ID: c@192.0.2.1:5060\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"

func TestParseAnswer(t *testing.T) {
	for _, test := range []struct{ name, text string }{
		{"sound", soundAnswer},
		{"no reason phrase", strings.Replace(soundAnswer, " OK", "", 1)},
		{"compact and in capitals", strings.NewReplacer("Via", "V", "CSeq", "CSEQ", "SIP/2.0 200", "sip/2.0 200").Replace(soundAnswer)},
		{"blanks before the colon", strings.Replace(soundAnswer, "Via:", "Via \t:", 1)},
		{"another field is folded, and looks like one that is read", strings.Replace(soundAnswer, "Call-ID", "Allow: A,\r\n Via: B\r\nCall-ID", 1)},
		{"another field is no field", strings.Replace(soundAnswer, "Call-ID", "x\r\nCall-ID", 1)},
		{"a body", strings.Replace(soundAnswer, "Length: 0\r\n\r\n", "Length: 3\r\n\r\nv=0", 1)},
		{"line ends before it", "\r\n\r\n" + soundAnswer},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, ok := ParseAnswer([]byte(test.text))
			if !ok || a.Status != 200 || a.Via.Branch != "z9hG4bKx1" || a.Method != "OPTIONS" || a.Via.Host != "192.0.2.1" || a.Via.Port != 5060 {
				t.Errorf("got %+v, %v", a, ok)
			}
		})
	}
}

func TestParseAnswerRefuses(t *testing.T) {
	for _, test := range []struct{ name, text string }{
		{"nothing", ""},
		{"a request", soundRequest},
		{"status below 100", strings.Replace(soundAnswer, "200", "099", 1)},
		{"status above 699", strings.Replace(soundAnswer, "200", "700", 1)},
		{"status of four digits", strings.Replace(soundAnswer, "200", "2000", 1)},
		{"status with a sign", strings.Replace(soundAnswer, "200", "+20", 1)},
		{"another version", strings.Replace(soundAnswer, "SIP/2.0 200", "SIP/3.0 200", 1)},
		{"no Via", strings.Replace(soundAnswer, "Via", "Fia", 1)},
		{"two Via fields", strings.Replace(soundAnswer, "From", "v: SIP/2.0/UDP h;branch=z9hG4bKy\r\nFrom", 1)},
		{"two values of Via", strings.Replace(soundAnswer, "z9hG4bKx1", "z9hG4bKx1, SIP/2.0/UDP h;branch=z9hG4bKy", 1)},
		{"a folded Via", strings.Replace(soundAnswer, ";branch", "\r\n ;branch", 1)},
		{"a branch without the cookie", strings.Replace(soundAnswer, "z9hG4bKx1", "x1", 1)},
		{"a control character in Via", strings.Replace(soundAnswer, "z9hG4bKx1", "z9hG4bK\x00x1", 1)},
		{"no CSeq", strings.Replace(soundAnswer, "CSeq", "Seq", 1)},
		{"two CSeq", strings.Replace(soundAnswer, "CSeq", "CSeq: 2 OPTIONS\r\nCSeq", 1)},
		{"a CSeq without method", strings.Replace(soundAnswer, "1 OPTIONS", "1", 1)},
		{"no empty line", strings.TrimSuffix(soundAnswer, "\r\n")},
		{"bare LF", strings.ReplaceAll(soundAnswer, "\r\n", "\n")},
		{"more header fields than there may be", strings.Replace(soundAnswer, "From", strings.Repeat("X: y\r\n", MaxHeaderLines)+"From", 1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if a, ok := ParseAnswer([]byte(test.text)); ok {
				t.Errorf("got %+v", a)
			}
		})
	}
}

func TestAnswersFrom(t *testing.T) {
	for _, test := range []struct {
		name, sentBy, local string
		want                bool
	}{
		{"ours", "192.0.2.1:5060", "192.0.2.1:5060", true},
		{"ours without its port", "192.0.2.1", "192.0.2.1:5060", true},
		{"another port", "192.0.2.1:5062", "192.0.2.1:5060", false},
		{"another port, and none written", "192.0.2.1", "192.0.2.1:5062", false},
		{"another host", "192.0.2.2:5060", "192.0.2.1:5060", false},
		{"IPv6", "[2001:DB8::1]:5060", "[2001:db8::1]:5060", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, ok := ParseAnswer([]byte(strings.Replace(soundAnswer, "192.0.2.1:5060", test.sentBy, 1)))
			if got := a.AnswersFrom(netip.MustParseAddrPort(test.local)); !ok || got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// FuzzParseAnswer sees to it that whatever is taken has what an answer is found by.
func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(soundAnswer))
	f.Add([]byte(strings.Replace(soundAnswer, "Call-ID", "Allow: A,\r\n B\r\nCall-ID", 1)))
	f.Add([]byte("SIP/2.0 100 Trying\r\nv: SIP/2.0/WS [::1]:1;branch=z9hG4bKx\r\nCSeq: 1 OPTIONS\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, ok := ParseAnswer(data)
		if !ok {
			return
		}
		if a.Status < 100 || a.Status > 699 || !a.Via.Cookie() || !isAllToken(a.Method) || a.Method == "" {
			t.Fatalf("taken: %+v", a)
		}
		if !strings.Contains(string(data), a.Via.Branch) || !isPrinting(a.Via.Branch) {
			t.Fatalf("the branch %q is no part of it", a.Via.Branch)
		}
	})
}

func TestRetryAfterOfAnAnswer(t *testing.T) {
	for line, want := range map[string]uint32{
		"": 0, "Retry-After: 30\r\n": 30, "retry-after :120 (I'm in a meeting);duration=60\r\n": 120,
		"Retry-After: soon\r\n": 0, "Retry-After: -1\r\n": 0, "Retry-After:\r\n": 0,
	} {
		if a, ok := ParseAnswer([]byte(strings.Replace(soundAnswer, "From", line+"From", 1))); !ok || a.RetryAfter != want {
			t.Errorf("%q: %d, %v", line, a.RetryAfter, ok)
		}
	}
}
