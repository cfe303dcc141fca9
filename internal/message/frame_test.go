package message

import (
	"errors"
	"strings"
	"testing"
)

// The shortest that a stream may carry, so that the cases below stay readable.
const (
	framed  = "A sip:a SIP/2.0\r\nl: 2\r\n\r\nhi"
	unended = "A sip:a SIP/2.0\r\n"
)

func TestFrame(t *testing.T) {
	tests := []struct{ name, first, rest string }{
		{"one", framed, ""},
		{"two", framed, framed},
		{"one and a half", framed, framed[:9]},
		{"keepalive behind", framed, "\r\n\r\n"},
		{"response", "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", framed},
		{"no CR in any line", "A sip:a SIP/2.0\nl: 2\n\nhi", framed},
		{"line ends in the body", "A sip:a SIP/2.0\r\nl: 4\r\n\r\n\r\n\r\n", framed},
		{"name in any case, blanks before the colon", "A sip:a SIP/2.0\r\ncontent-LENGTH \t:2 \r\n\r\nhi", framed},
		{"folded", "A sip:a SIP/2.0\r\nl:\r\n \t2\r\n\r\nhi", framed},
		{"folded line of another field behind", "A sip:a SIP/2.0\r\nl: 2\r\nX: y\r\n 9\r\n\r\nhi", framed},
		{"folded line of another field", "A sip:a SIP/2.0\r\nX: y\r\n l: 9\r\nl: 2\r\n\r\nhi", framed},
		{"folded blank line does not end the header section", "A sip:a SIP/2.0\r\nX: y\r\n \r\nl: 0\r\n\r\n", framed},
		{"of 65535 bytes", unended + "l: 65506\r\n\r\n" + strings.Repeat("x", 65506), framed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got, err := Frame([]byte(test.first + test.rest)); got != len(test.first) || err != nil {
				t.Errorf("%d, %v, want %d", got, err, len(test.first))
			}
		})
	}
}

func TestFrameTakesMessagesByteByByte(t *testing.T) {
	first, second := strings.Replace(soundRequest, "Content-Length: 0", "Content-Length: 5", 1)+"\r\n\r\nx", framed
	stream := first + second
	for have := range len(stream) {
		want := 0
		if have >= len(first) {
			want = len(first)
		}
		if got, err := Frame([]byte(stream[:have])); got != want || err != nil {
			t.Fatalf("of %d bytes: %d, %v, want %d", have, got, err, want)
		}
	}
}

func TestFrameEndsTheStream(t *testing.T) {
	section := func(length int) string { // a header section of that many bytes
		text := unended + "l: 0\r\n"
		for rest := length - len(text) - 2; rest > 0; {
			line := min(rest, 4000)
			if rest-line > 0 && rest-line < 6 {
				line -= 6
			}
			text += "X: " + strings.Repeat("y", line-5) + "\r\n"
			rest -= line
		}
		return text + "\r\n"
	}
	tests := []struct {
		name   string
		stream string
		status int // 0: sound, -1: no SIP
		reason string
	}{
		{"no Content-Length", unended + "\r\n", 400, "Missing Content-Length"},
		{"Content-Length twice, the same", unended + "l: 2\r\nContent-Length: 2\r\n\r\nhi", 400, "Content-Length Given Twice"},
		{"Content-Length twice, the rest missing", unended + "l: 2\r\nl: 3\r\n", 400, "Content-Length Given Twice"},
		{"Content-Length is a word", unended + "l: two\r\n\r\n", 400, "Malformed Content-Length"},
		{"Content-Length is empty", unended + "l:\r\n\r\n", 400, "Malformed Content-Length"},
		{"Content-Length is negative", unended + "l: -1\r\n\r\n", 400, "Malformed Content-Length"},
		{"Content-Length has a sign", unended + "l: +2\r\n\r\nhi", 400, "Malformed Content-Length"},
		{"Content-Length is a list", unended + "l: 2, 2\r\n\r\nhi", 400, "Malformed Content-Length"},
		{"Content-Length is folded in two", unended + "l: 1\r\n 2\r\n\r\nhi", 400, "Malformed Content-Length"},
		{"Content-Length over 2**64", unended + "l: 18446744073709551618\r\n\r\nhi", 400, "Malformed Content-Length"},
		{"message of 65536 bytes", unended + "l: 65507\r\n\r\n", 513, "Message Over 65535 Bytes"},
		{"header section of 16384 bytes", section(MaxHeaderSection), 0, ""},
		{"header section of 16385 bytes", section(MaxHeaderSection + 1), 513, "Header Section Over 16384 Bytes"},
		{"header section without an end", section(MaxHeaderSection + 3)[:MaxHeaderSection+1], 513, "Header Section Over 16384 Bytes"},
		{"header field of 8192 bytes", unended + "X:" + strings.Repeat("y", MaxHeaderLine-2) + "\r\nl: 0\r\n\r\n", 0, ""},
		{"header field of 8193 bytes", unended + "X:" + strings.Repeat("y", MaxHeaderLine-1) + "\r\n", 513, "Header Field Over 8192 Bytes"},
		{"header field of 8193 bytes, folded", unended + "X:" + strings.Repeat("y", 4000) + "\r\n " + strings.Repeat("y", 4190) + "\r\n", 513, "Header Field Over 8192 Bytes"},
		{"128 header fields", unended + strings.Repeat("X: y\r\n", MaxHeaderLines-1) + "l: 0\r\n\r\n", 0, ""},
		{"129 header fields", unended + strings.Repeat("X: y\r\n", MaxHeaderLines) + "l: 0\r\n", 400, "More Than 128 Header Fields"},
		{"folded start line", "A sip:a\r\n SIP/2.0\r\n", -1, ""},
		{"folded line behind the start line", unended + " l: 0\r\n", 400, "Folded Start Line"},
		{"control character", unended + "X: \x00\r\n", 400, "Control Character In Header Section"},
		{"control character in a line without end", unended + "X: \x00", 400, "Control Character In Header Section"},
		{"CR inside a line", unended + "X: a\rY: b\r\n", 400, "Control Character In Header Section"},
		{"HTTP", "GET / HTTP/1.1\r\n", -1, ""},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", -1, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			switch _, err := Frame([]byte(test.stream)); {
			case test.status > 0:
				wantError(t, err, test.status, test.reason)
			case test.status < 0 && !errors.Is(err, ErrNotSIP):
				t.Errorf("error %v, want %v", err, ErrNotSIP)
			case test.status == 0 && err != nil:
				t.Error(err)
			}
		})
	}
	if n := len(section(MaxHeaderSection)); n != MaxHeaderSection {
		t.Errorf("the test's own header section has %d bytes", n)
	}
}

func TestFrameALineWithoutAName(t *testing.T) {
	if length, err := Frame([]byte("REGISTER sip:r SIP/2.0\r\n: x\r\nl: 0\r\n\r\n")); err != nil || length == 0 {
		t.Errorf("%d, %v", length, err)
	}
}
