package sipuri

import "testing"

// What is escaped for one place in a URI reads back, and a URI with it is one.
func TestEscapes(t *testing.T) {
	for _, text := range []string{"2001", "a b", `<sip:p.example;lr>, "x" <sips:[2001:db8::1]:5061;lr;ob=1>`, "100%", "a%20b", "*72#", "a=b&c=d", "?", "\x00\r\n\xff", "ä"} {
		for _, test := range []struct {
			place, before, after string
			escape               func([]byte, string) []byte
			of                   func(URI) string
		}{
			{"user", "sip:", "@h", AppendEscapedUser, func(u URI) string { return u.User }},
			{"parameter", "sip:h;p=", "", AppendEscaped, func(u URI) string { p, _ := u.Param("p"); return p }},
			{"header", "sip:h?Route=", "", AppendEscapedHeader, func(u URI) string { return u.Headers[len("Route="):] }},
		} {
			uri, err := Parse(test.before + string(test.escape(nil, text)) + test.after)
			if err != nil {
				t.Errorf("%s %q: %v", test.place, text, err)
				continue
			}
			if got := Unescape(test.of(uri)); got != text {
				t.Errorf("%s %q reads back as %q", test.place, text, got)
			}
		}
	}
	if got := string(AppendEscapedHeader(nil, "<sip:p.example:5070;lr>")); got != "%3Csip:p.example:5070%3Blr%3E" {
		t.Error(got)
	}
}
