package message

import (
	"fmt"
	"strings"
	"testing"

	"sipregd/internal/sipuri"
)

// uriText writes a URI as the tables have it.
func uriText(u sipuri.URI) string {
	text := u.Scheme + ":" + u.Opaque
	if u.User != "" {
		text += u.User + "@"
	}
	text += u.Host
	if u.Port != 0 {
		text += fmt.Sprint(":", u.Port)
	}
	text += u.Params
	if u.Headers != "" {
		text += "?" + u.Headers
	}
	return text
}

func TestParseTo(t *testing.T) {
	tests := []struct {
		name     string
		text     string
		uri, tag string
		reason   string
	}{
		{"name-addr", "<sip:2001@r.example>", "sip:2001@r.example", "", ""},
		{"tag", "<sip:2001@r.example>;tag=abc", "sip:2001@r.example", "abc", ""},
		{"white space around the tag", "<sip:2001@r.example> ; TAG = abc", "sip:2001@r.example", "abc", ""},
		{"without brackets the parameters are not the URI's", "sip:2001@r.example;tag=abc", "sip:2001@r.example", "abc", ""},
		{"parameters inside brackets are", "<sip:2001@r.example;tag=x>", "sip:2001@r.example;tag=x", "", ""},
		{"display name of tokens", "Anna-Maria O'Neil <sip:2001@r.example>;tag=t", "sip:2001@r.example", "t", ""},
		{"display name of letters beyond ASCII", "Jürgen <sip:2001@r.example>", "sip:2001@r.example", "", ""},
		{"display name without white space", `"A"<sip:2001@r.example>`, "sip:2001@r.example", "", ""},
		{"quotes and brackets inside quotes", `"A \"<sip:x@y>\"; \\" <sip:2001@r.example>;tag=t`, "sip:2001@r.example", "t", ""},
		{"tel", "<tel:+49-30-123>", "tel:+49-30-123", "", ""},
		{"IPv6", "<sip:2001@[2001:db8::1]:5070>", "sip:2001@[2001:db8::1]:5070", "", ""},
		{"list", "<sip:a@b>, <sip:c@d>", "", "", "Malformed To"},
		{"text behind", "<sip:a@b> x", "", "", "Malformed To"},
		{"unclosed quote", `"A <sip:a@b>`, "", "", "Unclosed Quote In To"},
		{"quote closed by an escape", `"A\" <sip:a@b>`, "", "", "Unclosed Quote In To"},
		{"unclosed bracket", "<sip:a@b", "", "", "Unclosed URI In To"},
		{"display name alone", `"A"`, "", "", "No URI In To"},
		{"display name that needs quotes", "Kitchen (1st) @ home: [x] <sip:2001@r.example>;tag=t", "sip:2001@r.example", "t", ""},
		{"display name with quotes amid", `Kitchen "1st, <left>" \ <sip:2001@r.example>`, "sip:2001@r.example", "", ""},
		{"comma in a display name without quotes", "A, B <sip:a@b>", "", "", "Malformed URI In To"},
		{"semicolon in a display name without quotes", "A; B <sip:a@b>", "", "", "Malformed URI In To"},
		{"quote that opens amid a display name", `A "B <sip:a@b>`, "", "", "Unclosed Quote In To"},
		{"NUL behind a backslash in a display name (RFC 4475 §3.1.1.2)", "\"A\\\x00\" <sip:2001@r.example>", "sip:2001@r.example", "", ""},
		{"empty", "", "", "", "Malformed URI In To"},
		{"question mark without brackets (§20)", "sip:a@b?x=y", "", "", "URI Headers Without Brackets In To"},
		{"port too large", "<sip:a@b:65536>", "", "", "Malformed URI In To"},
		{"white space at the brackets", "< sip:2001@r.example\t>;tag=t", "sip:2001@r.example", "t", ""},
		{"white space amid the URI", "<sip:a@ b>", "", "", "Malformed URI In To"},
		{"white space and nothing else in brackets", "< >", "", "", "Malformed URI In To"},
		{"two tags", "<sip:a@b>;tag=1;tag=2", "", "", "Malformed Tag In To"},
		{"empty tag", "<sip:a@b>;tag", "", "", "Malformed Tag In To"},
		{"tag of other characters than a token's, as phones make it", "<sip:2001@r.example>;tag=a/b=+:@[c]{d}?$(e)", "sip:2001@r.example", "a/b=+:@[c]{d}?$(e)", ""},
		{"quoted tag", `<sip:2001@r.example>;tag="abc"`, "sip:2001@r.example", "abc", ""},
		{"separator in a quoted tag", `<sip:a@b>;tag="a;b"`, "", "", "Malformed Tag In To"},
		{"blank in a quoted tag", `<sip:a@b>;tag="a b"`, "", "", "Malformed Tag In To"},
		{"backslash in a tag", `<sip:a@b>;tag="a\b"`, "", "", "Malformed Tag In To"},
		{"tag beyond ASCII", "<sip:a@b>;tag=\u00e9", "", "", "Malformed Tag In To"},
		{"control character behind a backslash in a tag", "<sip:a@b>;tag=\"a\\\x01b\"", "", "", "Malformed Tag In To"},
		{"NUL behind a backslash in a tag", "<sip:a@b>;tag=\"a\\\x00b\"", "", "", "Malformed Parameter In To"},
		{"NUL behind a backslash in another parameter", "<sip:a@b>;x=\"a\\\x00b\"", "", "", "Malformed Parameter In To"},
		{"tag too long", "<sip:a@b>;tag=" + strings.Repeat("t", MaxCallID+1), "", "", "Malformed Tag In To"},
		{"URI of 1025 bytes", "<sip:a@" + host(1019) + ">", "", "", "URI Over 1024 Bytes In To"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := parse(replaced("To", "To: "+test.text))
			if test.reason != "" {
				wantError(t, err, 400, test.reason)
			} else if err != nil || uriText(r.To.URI) != test.uri || r.To.Tag != test.tag {
				t.Errorf("%s tag %q, %v", uriText(r.To.URI), r.To.Tag, err)
			}
		})
	}
}

func TestParseContact(t *testing.T) {
	const none = "{false 0 false}"
	tests := []struct {
		name   string
		text   string
		want   string // for each value: URI|Params|Q|Expires
		reason string
	}{
		{"plain", "<sip:a@b>", "sip:a@b|||" + none, ""},
		{"without brackets all parameters are the header field's", "sip:a@b;transport=tcp;expires=60", "sip:a@b|;transport=tcp||{true 60 true}", ""},
		{"inside brackets they are the URI's", "<sip:a@b;transport=tcp;expires=60>;x", "sip:a@b;transport=tcp;expires=60|;x||" + none, ""},
		{"names in any case", "<sip:a@b>;EXPIRES=60;Q=0.5", "sip:a@b||0.5|{true 60 true}", ""},
		{"white space around ; and =", "<sip:a@b> ; expires\t= 60 ; x = y", "sip:a@b|;x = y||{true 60 true}", ""},
		{"expires without a value", "<sip:a@b>;expires", "sip:a@b|||{true 0 false}", ""},
		{"list without brackets", "sip:a@b;q=1,sip:c@d", "sip:a@b||1|" + none + " sip:c@d|||" + none, ""},
		{"escaped quote in a display name before another Contact", `"Bob \", <sip:x@y>" <sip:a@b>,<sip:c@d>;q=0`, "sip:a@b|||" + none + " sip:c@d||0|" + none, ""},
		{"escaped backslash at the end of a display name", `"Bob\\" <sip:a@b>, "x" <sip:c@d>`, "sip:a@b|||" + none + " sip:c@d|||" + none, ""},
		{"separators inside a quoted parameter", `<sip:a@b>;+sip.instance="<urn:uuid:1;2,3\">";reg-id=1`, `sip:a@b|;+sip.instance="<urn:uuid:1;2,3\">";reg-id=1||` + none, ""},
		{"separators inside brackets", "<sip:a;x@b;y?h=1>,<sip:c,d@e>", "sip:a;x@b;y?h=1|||" + none + " sip:c,d@e|||" + none, ""},
		{"IPv6", "<sip:a@[::1]:5060>;expires=1", "sip:a@[::1]:5060|||{true 1 true}", ""},
		{"display name of *", "* <sip:a@b>", "sip:a@b|||" + none, ""},
		{"white space at the brackets", "< sip:a@b ;x >;expires=1", "", "Malformed URI In Contact"},
		{"white space at the brackets alone", "< sip:a@b;x >;expires=1", "sip:a@b;x|||{true 1 true}", ""},
		{"display name that needs quotes, before another Contact", "Kitchen (1st) <sip:a@b>, 2nd: <sip:c@d>", "sip:a@b|||" + none + " sip:c@d|||" + none, ""},
		{"* beside another in one list", "*, <sip:a@b>", "", "Malformed Contact"},
		{"* behind another in one list", "<sip:a@b>, *", "", "Malformed URI In Contact"},
		{"* with an expiry", "*;expires=1", "", "Malformed Contact"},
		{"* with an expiry that is malformed", "*;expires=x", "", "Malformed Contact"},
		{"* with another parameter", "*;q=1", "", "Malformed Contact"},
		{"* with two", "*;expires=0;expires=0", "", "Malformed Contact"},
		{"* and text behind", "*;expires=0 x", "", "Malformed Contact"},
		{"comma at the end", "<sip:a@b>,", "", "Malformed URI In Contact"},
		{"no comma between", "<sip:a@b> <sip:c@d>", "", "Malformed Contact"},
		{"unclosed quote", `"Bob <sip:a@b>, <sip:c@d>`, "", "Unclosed Quote In Contact"},
		{"unclosed bracket", "<sip:a@b, <sip:c@d>", "", "Malformed URI In Contact"},
		{"expires twice", "<sip:a@b>;expires=1;Expires=1", "", "Expires Given Twice In Contact"},
		{"q twice", "<sip:a@b>;q=1;q=1", "", "Q Given Twice In Contact"},
		{"parameter without name", "<sip:a@b>;=1", "", "Malformed Parameter In Contact"},
		{"question mark without brackets (§20)", "sip:a@b?x=y", "", "URI Headers Without Brackets In Contact"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := parse(added("Contact: " + test.text))
			if test.reason != "" {
				wantError(t, err, 400, test.reason)
				return
			}
			var got []string
			for _, c := range r.Contacts.Values {
				got = append(got, fmt.Sprint(uriText(c.URI), "|", c.Params, "|", c.Q, "|", c.Expires))
			}
			if err != nil || strings.Join(got, " ") != test.want {
				t.Errorf("%s, %v\nwant %s", strings.Join(got, " "), err, test.want)
			}
		})
	}
}

func TestParseContactStar(t *testing.T) {
	for _, text := range []string{"*", " * ", "\r\n *", "*;expires=0", " * ; Expires = 0 ", `*;expires="0"`} {
		r := parseSound(t, added("Contact:"+text))
		if !r.Contacts.Star || len(r.Contacts.Values) != 0 {
			t.Errorf("%q: %+v", text, r.Contacts)
		}
	}
}

func TestParseContactsOfSeveralHeaderFields(t *testing.T) {
	r := parseSound(t, added("Contact: <sip:a@b>", "m: <sip:c@d>, <sip:e@f>"))
	if len(r.Contacts.Values) != 3 || r.Contacts.Values[2].Text != "sip:e@f" {
		t.Errorf("%+v", r.Contacts)
	}
}

// qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ), and the ".5"
// that phones write. One that is malformed is as good as none.
func TestParseQ(t *testing.T) {
	for _, q := range []string{"0", "1", "0.", "1.", "0.7", "0.123", "1.000", ".5"} {
		if got := parseSound(t, added("Contact: <sip:a@b>;q="+q)).Contacts.Values[0].Q; got != q {
			t.Errorf("q=%s read as %q", q, got)
		}
	}
	for _, q := range []string{"2", "1.1", "0.1234", "1.0000", "-0.5", "0.5.5", "00", ".", "high", "1e0"} {
		if got := parseSound(t, added("Contact: <sip:a@b>;q="+q)).Contacts.Values[0].Q; got != "" {
			t.Errorf("q=%s read as %q", q, got)
		}
	}
}

// The grammar has no empty Contact (§20.10). It changes nothing by itself, and so
// it makes a query of its request. Beside "*", which deletes, it is not looked past.
func TestParseEmptyContact(t *testing.T) {
	for _, lines := range [][]string{{"Contact:"}, {"Contact: \t "}, {"m:", "Contact:"}} {
		if r := parseSound(t, added(lines...)); r.Contacts.Star || len(r.Contacts.Values) != 0 {
			t.Errorf("%q: %+v", lines, r.Contacts)
		}
	}
	for _, lines := range [][]string{{"Contact:", "m: <sip:a@b>"}, {"Contact: <sip:a@b>", "Contact:"}} {
		if r := parseSound(t, added(lines...)); r.Contacts.Star || len(r.Contacts.Values) != 1 {
			t.Errorf("%q: %+v", lines, r.Contacts)
		}
	}
	for _, lines := range [][]string{{"Contact:", "m: *"}, {"Contact: *", "Contact:"}} {
		_, err := parse(added(lines...))
		wantError(t, err, 400, "Contact * Beside Another Contact")
	}
	for _, line := range []string{"Contact: ,", "Contact: ;expires=0", "Contact: <>"} {
		if _, err := parse(added(line)); err == nil {
			t.Errorf("%s is taken", line)
		}
	}
}
