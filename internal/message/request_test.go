package message

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// soundRequest is a REGISTER of which the tests replace lines.
const soundRequest = "REGISTER sip:registrar.example SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1\r\n" +
	"From: <sip:2001@registrar.example>;tag=f1\r\n" +
	"To: <sip:2001@registrar.example>\r\n" +
	"Call-ID: call-1\r\n" +
	"CSeq: 1 REGISTER\r\n" +
	"Content-Length: 0\r\n\r\n"

var testFlow = Flow{
	Transport: "UDP",
	Source:    netip.MustParseAddrPort("192.0.2.7:5060"),
	Local:     netip.MustParseAddrPort("192.0.2.1:5060"),
}

// replaced returns the sound request with other lines in place of a header
// field, or without it.
func replaced(name string, lines ...string) string {
	start := strings.Index(soundRequest, "\r\n"+name+": ") + 2
	end := start + strings.Index(soundRequest[start:], "\r\n") + 2
	var b strings.Builder
	b.WriteString(soundRequest[:start])
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	b.WriteString(soundRequest[end:])
	return b.String()
}

// added returns the sound request with more lines.
func added(lines ...string) string {
	return replaced("Content-Length", append(lines, "Content-Length: 0")...)
}

func parse(text string) (*Request, error) { return NewParser().Parse([]byte(text), testFlow) }

// parseStream does so as from a stream, where what is malformed is always answered.
func parseStream(text string) (*Request, error) {
	return NewParser().Parse([]byte(text), Flow{Transport: "TCP", Source: testFlow.Source})
}

// parseSound parses what has to be sound.
func parseSound(t *testing.T, text string) *Request {
	t.Helper()
	request, err := parse(text)
	if err != nil {
		t.Fatalf("%v\n%q", err, text)
	}
	return request
}

// wantError checks that err is an *Error of that status and reason.
func wantError(t *testing.T, err error, status int, reason string) {
	t.Helper()
	var wrong *Error
	if !errors.As(err, &wrong) || wrong.Status != status || wrong.Reason != reason {
		t.Errorf("error %v, want %d %s", err, status, reason)
	}
}

func TestParseStartLine(t *testing.T) {
	tests := []struct {
		name   string
		line   string
		status int // 0: sound
		reason string
	}{
		{"sip", "REGISTER sip:registrar.example SIP/2.0", 0, ""},
		{"version in lower case", "REGISTER sip:registrar.example sip/2.0", 0, ""},
		{"another scheme", "REGISTER soap.beep://192.0.2.1:3002 SIP/2.0", 0, ""},
		{"another version", "REGISTER sip:registrar.example SIP/7.0", 505, "SIP Version Not Supported"},
		{"two spaces", "REGISTER  sip:registrar.example SIP/2.0", 400, "Malformed Request-URI"},
		{"space inside the URI", "REGISTER sip:registrar.example; lr SIP/2.0", 400, "Malformed Request-URI"},
		{"space at the end", "REGISTER sip:registrar.example SIP/2.0 ", 400, "Malformed Request Line"},
		{"brackets", "REGISTER <sip:registrar.example> SIP/2.0", 400, "Malformed Request-URI"},
		{"method that is no token", "REG(ISTER sip:registrar.example SIP/2.0", 400, "Malformed Request Line"},
		{"port too large", "REGISTER sip:registrar.example:65536 SIP/2.0", 400, "Malformed Request-URI"},
		{"URI of 1024 bytes", "REGISTER sip:a@" + host(1018) + " SIP/2.0", 400, "Malformed Request-URI"},
		{"URI of 1025 bytes", "REGISTER sip:a@" + host(1019) + " SIP/2.0", 414, "Request-URI Over 1024 Bytes"},
	}
	_, rest, _ := strings.Cut(soundRequest, "\r\n")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			request, err := parse(test.line + "\r\n" + rest)
			if test.status != 0 {
				wantError(t, err, test.status, test.reason)
				return
			}
			if err != nil || request.Method != "REGISTER" || " "+request.URIText+" " != test.line[8:len(test.line)-7] {
				t.Errorf("%q %q %v", request.Method, request.URIText, err)
			}
		})
	}
}

func host(length int) string { return strings.Repeat("h", length) }

func TestParseTellsWhatHasNoAnswer(t *testing.T) {
	tests := []struct {
		name string
		data string
		want error
	}{
		{"response", "SIP/2.0 200 OK\r\n\r\n", ErrResponse},
		{"response of another version", "SIP/3.0 200 OK\r\n\r\n", ErrResponse},
		{"nothing", "", ErrNotSIP},
		{"keepalive", "\r\n\r\n", ErrNotSIP},
		{"STUN", "\x00\x01\x00\x00\x21\x12\xa4\x42", ErrNotSIP},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", ErrNotSIP},
		{"no line end at all", strings.Repeat("x", 65000), ErrNotSIP},
		{"no URI", strings.Replace(soundRequest, "sip:registrar.example ", "", 1), ErrNotSIP},
		{"ten bytes", "X SIP/2.0\n", ErrNotSIP},
		{"a request line alone", "REGISTER sip:r SIP/2.0\r\n\r\n", ErrNotSIP},
		{"of another version", "REGISTER sip:r SIP/9.0\r\n\r\n", ErrNotSIP},
		{"no Via", replaced("Via"), ErrNotSIP},
		{"no Via and too large", "X sip:r SIP/2.0\n" + strings.Repeat("a", MaxHeaderSection), ErrNotSIP},
		{"empty Via", replaced("Via", "Via:"), ErrNotSIP},
		{"Via without sent-by", replaced("Via", "Via: SIP/2.0/UDP"), ErrNotSIP},
		{"Via whose sent-by is no host", replaced("Via", "Via: SIP/2.0/UDP -"), ErrNotSIP},
		{"Via behind the empty line", "REGISTER sip:r SIP/2.0\r\n\r\nVia: SIP/2.0/UDP h\r\n", ErrNotSIP},
		{"lines that end in CR alone", strings.ReplaceAll(soundRequest, "\r\n", "\r"), ErrNotSIP},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if request, err := parse(test.data); err != test.want || request != nil {
				t.Errorf("%v, %v, want %v", request, err, test.want)
			}
		})
	}
}

// Over UDP the source of a request may be forged: what is too broken to show a way
// back is not answered with more bytes than came. On a stream it is answered.
func TestParseOverAStreamAnswersWhatUDPDrops(t *testing.T) {
	tests := []struct {
		name, text string
		status     int
		reason     string
	}{
		{"no URI", "REGISTER SIP/2.0\r\n\r\n", 400, "Malformed Request Line"},
		{"a request line alone", "REGISTER sip:r SIP/2.0\r\n\r\n", 400, "Missing Via"},
		{"no Via", replaced("Via"), 400, "Missing Via"},
		{"empty Via", replaced("Via", "Via:"), 400, "Malformed Via"},
		{"another version", "REGISTER sip:r SIP/9.0\r\n\r\n", 505, "SIP Version Not Supported"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseStream(test.text)
			wantError(t, err, test.status, test.reason)
		})
	}
}

// A Via with just its sent-by in order shows a way back (RFC 4475 §3.1.2.1 and
// §3.1.2.16 want an answer).
func TestParseOverUDPAnswersWhereViaShowsAWayBack(t *testing.T) {
	version := strings.Replace(soundRequest, "registrar.example SIP/2.0", "registrar.example SIP/9.1", 1)
	tests := []struct {
		name, text string
		status     int
		reason     string
	}{
		{"separators too many", replaced("Via", "Via: SIP/2.0/UDP h;;,;,,"), 400, "Malformed Parameter"},
		{"port too large", replaced("Via", "Via: SIP/2.0/UDP h:65536"), 400, "Malformed Via"},
		{"branch too long", replaced("Via", "Via: SIP/2.0/UDP h;branch="+strings.Repeat("b", MaxCallID+1)), 400, "Malformed Via Branch"},
		{"Via of another version", replaced("Via", "Via: SIP/9.1/UDP h;rport"), 400, "Malformed Via"},
		{"all of another version", strings.Replace(version, "SIP/2.0", "SIP/9.1", 1), 505, "SIP Version Not Supported"},
		{"blanks behind the request line", strings.Replace(soundRequest, "\r\n", "  \r\n", 1), 400, "Malformed Request Line"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse(test.text)
			wantError(t, err, test.status, test.reason)
		})
	}
}

// RFC 3261 §7.3: compact forms, folded lines, names in any case, white space
// around the colon and line ends without CR say the same.
func TestParseForgivesTheFormOfLines(t *testing.T) {
	tests := []struct{ name, text string }{
		{"plain", "REGISTER sip:r.example SIP/2.0\r\nVia: SIP/2.0/UDP h:5061;branch=z9hG4bK-1;rport\r\nFrom: <sip:a@r.example>;tag=f\r\n" +
			"To: <sip:b@r.example>\r\nCall-ID: c@h\r\nCSeq: 7 REGISTER\r\nContact: <sip:b@h>;expires=60\r\nExpires: 90\r\nContent-Length: 0\r\n\r\n"},
		{"compact", "REGISTER sip:r.example SIP/2.0\r\nv: SIP/2.0/UDP h:5061;branch=z9hG4bK-1;rport\r\nf: <sip:a@r.example>;tag=f\r\n" +
			"t: <sip:b@r.example>\r\ni: c@h\r\nCSeq: 7 REGISTER\r\nm: <sip:b@h>;expires=60\r\nExpires: 90\r\nl: 0\r\n\r\n"},
		{"any case, blanks around the colon", "REGISTER sip:r.example SIP/2.0\r\nVIA:SIP/2.0/UDP h:5061;branch=z9hG4bK-1;rport\r\nfrom \t: <sip:a@r.example>;tag=f\r\n" +
			"tO  :<sip:b@r.example>  \r\ncall-id:\tc@h\r\ncseq:7 REGISTER\r\ncONTACT :<sip:b@h>;expires=60\r\nexpires:90\r\nL : 0\r\n\r\n"},
		{"folded", "REGISTER sip:r.example SIP/2.0\r\nVia: SIP/2.0/UDP\r\n h:5061\r\n\t;branch=z9hG4bK-1\r\n ;rport\r\nFrom:\r\n <sip:a@r.example>\r\n ;tag=f\r\n" +
			"To: <sip:b@r.example>\r\nCall-ID:\r\n\tc@h\r\nCSeq: 7\r\n  \r\n REGISTER\r\nContact: <sip:b@h>\r\n ;expires\r\n =\r\n 60\r\nExpires:\r\n 90\r\nContent-Length:\r\n 0\r\n\r\n"},
		{"line ends without CR", "REGISTER sip:r.example SIP/2.0\nVia: SIP/2.0/UDP h:5061;branch=z9hG4bK-1;rport\r\nFrom: <sip:a@r.example>\n ;tag=f\r\n" +
			"To: <sip:b@r.example>\nCall-ID: c@h\nCSeq: 7 REGISTER\nContact: <sip:b@h>;expires=60\nExpires: 90\n\n"},
	}
	const want = "UDP h 5061 z9hG4bK-1 true|sip:a@r.example f|sip:b@r.example |c@h|7 REGISTER|sip:b@h {true 60 true}|{true 90 true}|false"
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := parseSound(t, test.text)
			via, contact := r.Vias[0], r.Contacts.Values[0]
			got := fmt.Sprint(via.Transport, " ", via.Host, " ", via.Port, " ", via.Branch, " ", via.RPort,
				"|", uriText(r.From.URI), " ", r.From.Tag, "|", uriText(r.To.URI), " ", r.To.Tag, "|", r.CallID,
				"|", r.CSeq.Number, " ", r.CSeq.Method, "|", contact.Text, " ", contact.Expires, "|", r.Expires, "|", r.HasBody)
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// What §8.1.1 makes mandatory is missed by name, and what must stand once is
// never last-one-wins.
func TestParseNamesWhatIsMissingOrStandsTwice(t *testing.T) {
	tests := []struct{ name, text, reason string }{
		{"no From", replaced("From"), "Missing From"},
		{"no To", replaced("To"), "Missing To"},
		{"no Call-ID", replaced("Call-ID"), "Missing Call-ID"},
		{"no CSeq", replaced("CSeq"), "Missing CSeq"},
		{"two From", added("f: <sip:x@y.example>;tag=1"), "From Given Twice"},
		{"two To", added("t: <sip:x@y.example>"), "To Given Twice"},
		{"the same To twice", added("To: <sip:2001@registrar.example>"), "To Given Twice"},
		{"two Call-ID", added("i: x"), "Call-ID Given Twice"},
		{"two CSeq", added("CSeq: 1 REGISTER"), "CSeq Given Twice"},
		{"two Expires", added("Expires: 60", "Expires: soon"), "Expires Given Twice"},
		{"two Content-Length", added("l: 0"), "Content-Length Given Twice"},
		{"Contact * and another", added("Contact: *", "m: <sip:a@b>"), "Contact * Beside Another Contact"},
		{"another and Contact *", added("Contact: <sip:a@b>", "Contact: *"), "Contact * Beside Another Contact"},
		{"Contact * twice", added("Contact: *", "Contact: *"), "Contact * Beside Another Contact"},
		{"line without colon", added("Max-Forwards"), "Malformed Header Field"},
		{"no empty line", strings.TrimSuffix(soundRequest, "\r\n"), "No Empty Line Behind The Header Section"},
		{"folded start line", strings.Replace(soundRequest, "\r\n", "\r\n x\r\n", 1), "Folded Start Line"},
		{"NUL behind a backslash, quoted, in text", added("User-Agent: \"a\\\x00b\""), "Control Character In Header Section"},
		{"NUL behind a backslash, quoted, in a field nobody reads", added("X: \"a\\\x00b\""), "Control Character In Header Section"},
		{"NUL", replaced("Call-ID", "Call-ID: a\x00b"), "Control Character In Header Section"},
		{"CR inside a line", replaced("Call-ID", "Call-ID: a\rX: b"), "Control Character In Header Section"},
		{"DEL", replaced("Call-ID", "Call-ID: a\x7fb"), "Control Character In Header Section"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse(test.text)
			wantError(t, err, 400, test.reason)
		})
	}
}

func TestParseCSeq(t *testing.T) {
	const malformed = "Malformed CSeq"
	tests := []struct {
		name   string
		text   string
		number uint32
		reason string
	}{
		{"plain", "1 REGISTER", 1, ""},
		{"zero", "0 REGISTER", 0, ""},
		{"zeros in front and much white space", "0009  \t REGISTER", 9, ""},
		{"largest (§8.1.1.5)", "2147483647 REGISTER", 1<<31 - 1, ""},
		{"2**31", "2147483648 REGISTER", 0, malformed},
		{"2**32+1", "4294967297 REGISTER", 0, malformed},
		{"sign", "+1 REGISTER", 0, malformed},
		{"no white space", "1REGISTER", 0, malformed},
		{"no method", "1", 0, malformed},
		{"no number", "REGISTER", 0, malformed},
		{"text behind", "1 REGISTER x", 0, malformed},
		{"another method", "1 OPTIONS", 0, "CSeq Method Differs From Request"},
		{"method in another case", "1 Register", 0, "CSeq Method Differs From Request"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := parse(replaced("CSeq", "CSeq: "+test.text))
			if test.reason != "" {
				wantError(t, err, 400, test.reason)
			} else if err != nil || r.CSeq.Number != test.number {
				t.Errorf("%d, %v, want %d", r.CSeq.Number, err, test.number)
			}
		})
	}
}

func TestParseCallID(t *testing.T) {
	tests := []struct {
		name, text string
		sound      bool
	}{
		{"word", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6@foo.bar.com", true},
		{"every character of a word", `a-.!%*_+` + "`" + `'~()<>:\"/[]?{}@x`, true},
		{"of the largest size", strings.Repeat("c", MaxCallID), true},
		{"one byte more", strings.Repeat("c", MaxCallID+1), false},
		{"empty", "", false},
		{"two words", "a b", false},
		{"not ASCII", "caf\u00e9", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := parse(replaced("Call-ID", "Call-ID: "+test.text))
			if !test.sound {
				wantError(t, err, 400, "Malformed Call-ID")
			} else if err != nil || r.CallID != test.text {
				t.Errorf("%q, %v", r.CallID, err)
			}
		})
	}
}

// What is malformed counts as not understood, not as an error (§20.19).
func TestParseExpires(t *testing.T) {
	tests := []struct {
		name, text string
		want       Expires
	}{
		{"zero", "0", Expires{true, 0, true}},
		{"plain", "3600", Expires{true, 3600, true}},
		{"largest", "4294967295", Expires{true, 1<<32 - 1, true}},
		{"2**32", "4294967296", Expires{Present: true}},
		{"word", "soon", Expires{Present: true}},
		{"negative", "-1", Expires{Present: true}},
		{"sign", "+60", Expires{Present: true}},
		{"fraction", "60.5", Expires{Present: true}},
		{"hexadecimal", "0x10", Expires{Present: true}},
		{"date of RFC 2543", "Thu, 01 Dec 1994 16:00:00 GMT", Expires{Present: true}},
		{"empty", "", Expires{Present: true}},
	}
	same := func(a, b Expires) bool {
		return a.Present == b.Present && a.Valid == b.Valid && (!a.Valid || a.Seconds == b.Seconds)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := parseSound(t, added("Expires: "+test.text)).Expires; !same(got, test.want) {
				t.Errorf("header field %+v, want %+v", got, test.want)
			}
			if test.text == "" {
				return
			}
			r := parseSound(t, added(`Contact: <sip:a@b>;expires="`+test.text+`"`))
			if got := r.Contacts.Values[0].Expires; !same(got, test.want) {
				t.Errorf("parameter %+v, want %+v", got, test.want)
			}
		})
	}
	if parseSound(t, soundRequest).Expires.Present {
		t.Error("there is none")
	}
}

func TestParseRequire(t *testing.T) {
	r := parseSound(t, added("Require: a , b,", "require:c", "Supported: path", "Proxy-Require: d"))
	if got := fmt.Sprint(r.Require); got != "[a b c]" {
		t.Errorf("Require %s", got)
	}
	for _, line := range []string{"Require: a b", "Require: \"a\"", "Supported: a;b", "k: <a>", "Proxy-Require: a/b"} {
		_, err := parse(added(line))
		wantError(t, err, 400, "Malformed Option Tag")
	}
}

// RFC 3261 §18.3: what stands behind Content-Length is no body, over UDP a
// body reaches to the end of the datagram where none is said.
func TestParseBody(t *testing.T) {
	tests := []struct {
		name     string
		line     string
		body     string
		hasBody  bool
		forgiven bool
		reason   string
	}{
		{"none, said so", "Content-Length: 0", "", false, false, ""},
		{"none, not said", "X: y", "", false, false, ""},
		{"said", "Content-Length: 3", "abc", true, false, ""},
		{"not said", "X: y", "abc", true, false, ""},
		{"not said, line ends and NUL behind", "X: y", "\r\n\n\r\x00\x00\r\n", false, false, ""},
		{"not said, a CR behind", "X: y", "\r", false, false, ""},
		{"not said, line ends before it", "X: y", "\r\n\r\nv=0", true, false, ""},
		{"bytes behind", "Content-Length: 0", "abc", false, false, ""},
		{"bytes missing", "Content-Length: 4", "abc", false, false, "Body Shorter Than Content-Length"},
		{"negative", "Content-Length: -1", "", false, false, "Malformed Content-Length"},
		{"with line ends and NUL", "Content-Length: 7", "\r\n\r\n\x00\r\n", true, false, ""},
		{"optional", "Content-Length: 3\r\nContent-Disposition: session ; Handling = Optional", "abc", true, true, ""},
		{"required", "Content-Length: 3\r\nContent-Disposition: session;handling=required", "abc", true, false, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := parse(replaced("Content-Length", test.line) + test.body)
			if test.reason != "" {
				wantError(t, err, 400, test.reason)
			} else if err != nil || r.HasBody != test.hasBody || r.BodyForgiven != test.forgiven {
				t.Errorf("body %v, forgiven %v, %v", r.HasBody, r.BodyForgiven, err)
			}
		})
	}
}

// RFC 3261 §7.3.1: a line may be folded wherever there is a blank, and that says the
// same. No name or value is left with a blank of the fold.
func TestParseForgivesAFoldAtEachBlank(t *testing.T) {
	blanks := added(
		`Contact: "Kitchen" <sip:2001@192.0.2.7> ; expires = 60 ; q = 0.5 ; +sip.instance = "<urn:uuid:1>" , <sip:2001@192.0.2.8> ; Expires = 70`,
		`Authorization: Digest username = "7f3a9c" , realm = "sipregd" , nonce = "n" , uri = "sip:r" , response = "0" , qop = auth , nc = 00000001 , cnonce = "c"`,
		"Via: SIP / 2.0 / UDP 192.0.2.9 : 5070 ; branch = z9hG4bK-2 ; rport", "Require: path , outbound", "Expires: 90")
	whole := withoutRoom(parseSound(t, blanks))
	start := strings.Index(blanks, "\r\n")
	for i := start; i < len(blanks); i++ {
		if blanks[i] != ' ' {
			continue
		}
		for _, fold := range []string{"\r\n ", "\r\n\t\t", " \r\n  \t", "\n "} {
			folded := parseSound(t, blanks[:i]+fold+blanks[i+1:])
			if got := withoutRoom(folded); !reflect.DeepEqual(got, whole) {
				t.Errorf("folded behind %q:\n%+v\n%+v", blanks[max(start, i-20):i], got, whole)
			}
		}
	}
}
