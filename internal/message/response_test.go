package message

import (
	"errors"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// answer is what a request is answered that did or did not parse, on a stream,
// where all are.
func answer(t *testing.T, text string) string {
	t.Helper()
	request, err := parseStream(text)
	var wrong *Error
	if errors.As(err, &wrong) {
		return string(render(request, NewResponse(wrong.Status, wrong.Reason), "ours"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(render(request, NewResponse(200, "OK"), "ours"))
}

// RFC 3261 §8.2.6.2.
func TestRenderCopiesInOrder(t *testing.T) {
	text := "REGISTER sip:r SIP/2.0\r\n" +
		"t:\"A, \\\"B\\\"\" <sip:a@r;x=y>;p=q\r\n" +
		"v: SIP/2.0/UDP first;branch=1;rport\r\n , SIP / 2.0 / TLS second;received=203.0.113.9 ,SIP/2.0/TCP [::1]:5070;x=\"a,b\"\r\n" +
		"CSeq:7   REGISTER\r\n" +
		"From: sip:c@r;tag=theirs\r\n" +
		"i: c@h\r\n" +
		"VIA: SIP/2.0/SCTP fourth;ttl=1\r\n\r\n"
	request := parseSound(t, text)
	response := NewResponse(200, "OK").With("Contact", "<sip:a@h>;expires=60").With("Date", "now")
	const want = "SIP/2.0 200 OK\r\n" +
		"Via: SIP/2.0/UDP first;branch=1;rport=5060;received=192.0.2.7\r\n" +
		"Via: SIP / 2.0 / TLS second;received=203.0.113.9\r\n" +
		"Via: SIP/2.0/TCP [::1]:5070;x=\"a,b\"\r\n" +
		"Via: SIP/2.0/SCTP fourth;ttl=1\r\n" +
		"From: sip:c@r;tag=theirs\r\n" +
		"To: \"A, \\\"B\\\"\" <sip:a@r;x=y>;p=q;tag=ours\r\n" +
		"Call-ID: c@h\r\n" +
		"CSeq: 7   REGISTER\r\n" +
		"Contact: <sip:a@h>;expires=60\r\n" +
		"Date: now\r\n" +
		"Content-Length: 0\r\n\r\n"
	if got := string(render(request, response, "ours")); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRenderTagsTo(t *testing.T) {
	tests := []struct{ name, to, want string }{
		{"no tag", "<sip:a@r>", "<sip:a@r>;tag=ours"},
		{"without brackets", "sip:a@r;x", "sip:a@r;x;tag=ours"},
		{"its own tag", "<sip:a@r> ; Tag = theirs", "<sip:a@r> ; Tag = theirs"},
		{"a tag of the URI is none", "<sip:a@r;tag=x>", "<sip:a@r;tag=x>;tag=ours"},
		{"a tag in the display name is none", `"x;tag=y" <sip:a@r>`, `"x;tag=y" <sip:a@r>;tag=ours`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := answer(t, replaced("To", "To: "+test.to)); !strings.Contains(got, "\r\nTo: "+test.want+"\r\n") {
				t.Errorf("got\n%s\nwant %s", got, test.want)
			}
		})
	}
}

// A request that did not parse is answered with what stands on lines that are
// sound by themselves.
func TestRenderSalvages(t *testing.T) {
	const (
		via    = "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1\r\n"
		from   = "From: <sip:2001@registrar.example>;tag=f1\r\n"
		to     = "To: <sip:2001@registrar.example>;tag=ours\r\n"
		callID = "Call-ID: call-1\r\n"
		cseq   = "CSeq: 1 REGISTER\r\n"
	)
	tests := []struct{ name, text, want string }{
		{"bad Contact", added("Contact: <sip:a@>"), via + from + to + callID + cseq},
		{"no To", replaced("To"), via + from + callID + cseq},
		{"bad To gets no tag", replaced("To", "To: <sip:2001@>"), via + from + "To: <sip:2001@>\r\n" + callID + cseq},
		{"To with a tag", replaced("To", "To: <sip:2001@registrar.example>;tag=t", "Expires: 1", "Expires: 2"), via + from + "To: <sip:2001@registrar.example>;tag=t\r\n" + callID + cseq},
		{"the first of two To", added("t: <sip:x@y.example>"), via + from + to + callID + cseq},
		{"the first of two Call-ID", replaced("Call-ID", "i: call-1", "Call-ID: call-2"), via + from + to + callID + cseq},
		{"folded lines", replaced("From", "f: <sip:2001@registrar.example>", "\t;tag=f1", "From: x"), strings.Replace(via+from+to+callID+cseq, ";tag=f1", " ;tag=f1", 1)},
		{"control character", replaced("Call-ID", "Call-ID: a\x00b"), via + from + to + cseq},
		{"what a control character begins has no folded lines", replaced("From", "From: a\x00", " b"), via + to + callID + cseq},
		{"CR inside a line", replaced("Call-ID", "Call-ID: a\rContact: b"), via + from + to + cseq},
		{"bad Via", replaced("Via", "Via: SIP/2.0 192.0.2.7"), "Via: SIP/2.0 192.0.2.7\r\n" + from + to + callID + cseq},
		{"bad parameter of Via", replaced("Via", "Via: SIP/2.0/UDP a;=b"), "Via: SIP/2.0/UDP a;=b\r\n" + from + to + callID + cseq},
		{"topmost Via of several", replaced("Via", "Via: SIP/2.0/UDP a;received=203.0.113.9;rport=53 , SIP/2.0/UDP b", "v: SIP/2.0/UDP c", "Expires: 1", "Expires: 2"),
			"Via: SIP/2.0/UDP a;rport=5060;received=192.0.2.7, SIP/2.0/UDP b\r\nVia: SIP/2.0/UDP c\r\n" + from + to + callID + cseq},
		{"no empty line", strings.TrimSuffix(soundRequest, "\r\n"), via + from + to + callID + cseq},
		{"not what stands in the body", strings.Replace(soundRequest, "Content-Length: 0\r\n\r\n", "Content-Length: 99\r\n\r\nVia: x\r\nTo: y\r\n", 1), via + from + to + callID + cseq},
		{"bad start line", strings.Replace(soundRequest, "SIP/2.0", "SIP/9.0", 1), via + from + to + callID + cseq},
		{"nothing but a start line", "REGISTER sip:r SIP/2.0\r\n", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := answer(t, test.text)
			_, copied, _ := strings.Cut(got, "\r\n")
			if want := test.want + "Content-Length: 0\r\n\r\n"; copied != want || strings.HasPrefix(got, "SIP/2.0 200") {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Whatever a request says, it adds no line to its answer.
func TestRenderCannotBeSplit(t *testing.T) {
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
		_, line, _ := strings.Cut(soundRequest, "\r\n"+name+": ")
		line, _, _ = strings.Cut(name+": "+line, "\r\n")
		for _, injected := range []string{"\rX-In: x", "\nX-In: x", "\n\rX-In: x", "\x00", "\x0b\x0cX-In: x", "\x7f", "\x1b[2J"} {
			got := answer(t, replaced(name, line+injected))
			checkRendered(t, []byte(got))
			if strings.Contains(got, "X-In") {
				t.Errorf("%q comes back as\n%q", line+injected, got)
			}
		}
	}
}

// checkRendered checks what holds of every response: it ends with the one
// empty line, and no line holds a control character.
func checkRendered(t *testing.T, data []byte) {
	t.Helper()
	head, body, found := strings.Cut(string(data), "\r\n\r\n")
	if !found || body != "" {
		t.Fatalf("no empty line at the end: %q", data)
	}
	for i, line := range strings.Split(head, "\r\n") {
		if hasControl([]byte(line)) {
			t.Errorf("control character in %q", line)
		}
		if i == 0 && !strings.HasPrefix(line, "SIP/2.0 ") || i > 0 && strings.Index(line, ": ") <= 0 {
			t.Errorf("no line of a response: %q", line)
		}
	}
}

// FuzzParse reads arbitrary datagrams and answers them. What was sound, sipgo
// reads out of the answer as it was.
func FuzzParse(f *testing.F) {
	f.Add([]byte(soundRequest))
	f.Add([]byte(added(`Contact: "A \"" <sip:a@[::1]:5070;x=y>;q=0.5;expires=60, sip:b@c`, "Expires: soon", "Require: a, b")))
	f.Add([]byte(added(`Authorization: Digest username="a \"b\"",realm=r,nonce=n,uri="sip:r",response="0",qop=auth,nc=1,cnonce=c`)))
	f.Add([]byte("A a:b sip/2.0\nv:SIP / 2.0 / UDP a;rport;received=b , SIP/2.0/TCP [::1]:1\nf:\n <sip:a>\nt:tel:1;tag=x\ni:c\ncseq:\t1 A\n\nbody"))
	f.Add([]byte(replaced("To", "To: <sip:a@", "To: x\x00", " y", "Contact: *")))
	f.Add([]byte("SIP/2.0 200 OK\r\n\r\n"))
	f.Add([]byte("A a:b SIP/7.0\r\nVia: ,\r\n"))
	parser := NewParser()
	f.Fuzz(func(t *testing.T, data []byte) {
		request, err := parser.Parse(data, testFlow)
		var wrong *Error
		switch {
		case errors.As(err, &wrong):
			checkRendered(t, render(request, NewResponse(wrong.Status, wrong.Reason), "ours"))
		case err != nil:
			if request != nil || err != ErrNotSIP && err != ErrResponse {
				t.Errorf("%v beside %v", request, err)
			}
		default:
			rendered := render(request, NewResponse(200, "OK"), "ours")
			checkRendered(t, rendered)
			if request.From.URI.IsSIP() && request.To.URI.IsSIP() { // sipgo knows no scheme such as "soap.beep"
				checkWithSipgo(t, request, rendered)
			}
		}
		if request != nil && len(request.Vias) > 0 && request.Vias[0].ResponseAddr(testFlow.Source).Addr() != testFlow.Source.Addr() {
			t.Error("the answer goes to somebody else")
		}
	})
}

// checkWithSipgo has sipgo read the response to a sound request.
func checkWithSipgo(t *testing.T, request *Request, rendered []byte) {
	t.Helper()
	parsed, err := sip.ParseMessage(rendered)
	if err != nil {
		t.Fatalf("sipgo: %v\n%q", err, rendered)
	}
	response, ok := parsed.(*sip.Response)
	if !ok || response.StatusCode != 200 {
		t.Fatalf("sipgo read %v\n%q", parsed, rendered)
	}
	if id, cseq := response.CallID(), response.CSeq(); id == nil || id.Value() != request.CallID || cseq == nil || cseq.SeqNo != request.CSeq.Number {
		t.Errorf("sipgo read Call-ID %v, CSeq %v\n%q", id, cseq, rendered)
	}
}

func render(request *Request, response *Response, toTag string) []byte {
	return Render(nil, request, response.Own(), []byte(toTag))
}
