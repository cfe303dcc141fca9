package message

import (
	"strings"
	"testing"
)

// FuzzContact reads arbitrary Contacts. What is read of one reads the same once it is
// written as a binding is, and is one line.
func FuzzContact(f *testing.F) {
	for _, text := range []string{
		"*", " * ; expires=0", "sip:a@b", "<sip:a@b:5060;transport=tcp>;expires=60;q=0.5",
		`"A \"B\", C" <sip:a@[2001:db8::1]>;+sip.instance="<urn:uuid:1>";reg-id=1, <sips:c@d?x=y>;q=1.000`,
		"A B <sip:a@b;ob>;x;y=\"z;,\"", "<sip:a@b>;pub-gruu=\"sip:x\";temp-gruu=y", "<sip:a@b>;pn-provider=x", "<tel:+1>", "sip:a@b;expires=x",
	} {
		f.Add(text)
	}
	parser := NewParser()
	read := func(text string) (Contacts, error) {
		request, err := parser.Parse([]byte(added("Contact: "+text)), testFlow)
		if err != nil {
			return Contacts{}, err
		}
		return request.Contacts, nil
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "\r\n") { // other header fields
			return
		}
		contacts, err := read(text)
		if err != nil {
			return
		}
		if len(contacts.Values) > MaxListValues || contacts.Star && len(contacts.Values) > 0 {
			t.Errorf("%q: %+v", text, contacts)
		}
		for _, c := range contacts.Values {
			written := "<" + c.Text + ">" + c.Params
			again, err := read(written)
			if err != nil || len(again.Values) != 1 {
				t.Fatalf("%q is written as %q: %v, %+v", text, written, err, again)
			}
			if d := again.Values[0]; d.Text != c.Text || d.Params != c.Params || d.Instance != c.Instance || d.RegID != c.RegID {
				t.Errorf("%q: %+v is written as %q, which is %+v", text, c, written, d)
			}
			if len(c.Instance) > MaxInstance || len(c.Text) > MaxURI {
				t.Errorf("%q: %+v is too long", text, c)
			}
		}
	})
}
