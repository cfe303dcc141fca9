package sipuri

import (
	"fmt"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	tests := []struct {
		text string
		want URI
	}{
		{"sip:host.example", URI{Scheme: "sip", Host: "host.example"}},
		{"SIPS:2001:pw@host.example:5071;lr;a=b?x=y", URI{Scheme: "sips", User: "2001", Password: "pw",
			Host: "host.example", Port: 5071, Params: ";lr;a=b", Headers: "x=y"}},
		{"sip:2001;day=1@host.example", URI{Scheme: "sip", User: "2001;day=1", Host: "host.example"}},
		{"sip:[2001:db8::9:1]:5060", URI{Scheme: "sip", Host: "[2001:db8::9:1]", Port: 5060}},
		{"sip:2001@192.0.2.7", URI{Scheme: "sip", User: "2001", Host: "192.0.2.7"}},
		{"tel:+4930123;ext=1", URI{Scheme: "tel", Opaque: "+4930123;ext=1"}},
		{"sip:%00@host.example", URI{Scheme: "sip", User: "%00", Host: "host.example"}},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			got := parse(t, test.text)
			if got != test.want {
				t.Errorf("got %#v, want %#v", got, test.want)
			}
			if text := written(got); !strings.EqualFold(text, test.text) {
				t.Errorf("written as %s", text)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "2001", "sip:", "sip:@host.example", "sip:2001@", "sip:2001@host.example:0",
		"sip:2001@host.example:65536", "sip:2001@host.example:", "sip:2001@host.example:50x",
		"sip:2001@host .example", " sip:2001@host.example", "sip:20 01@host.example",
		"sip:20%0@host.example", "sip:20%zz@host.example", "sip:2001@host..example",
		"sip:2001@[2001:db8:::1]", "sip:2001@[2001:db8::::192.0.2.1]", "sip:2001@[2001:db8::1:::192.0.2.1]", "sip:2001@[:::2001:db8::192.0.2.1]",
		"sip:2001@[2001:db8::1", "sip:2001@[192.0.2.1]", "sip:2001@[fe80::1%25eth0]",
		"sip:2001@host.example;", "sip:2001@host.example;=x", "sip:2001@host.example;a=1;A=2",
		"sip:2001@host.example;a=<>", "sip:2001@host.example?", "sip:2001@host.example/x",
		"sip:2001@-host.example", "1sip:2001@host.example", "tel:", "sip:a\x00b@host.example",
		"sip:host.example" + strings.Repeat(";a", MaxParams+1),
		"sip:host.example?a=1" + strings.Repeat("&a=1", MaxHeaders),
	} {
		t.Run(text, func(t *testing.T) {
			if uri, err := Parse(text); err == nil {
				t.Errorf("taken as %#v", uri)
			}
		})
	}
}

func TestParseTakesWhatIsWithinTheBounds(t *testing.T) {
	text := "sip:host.example"
	for i := range MaxParams {
		text += fmt.Sprint(";p", i)
	}
	parse(t, text+"?a=1"+strings.Repeat("&a=1", MaxHeaders-1))
}

// RFC 3261 §10.3 step 5.
func TestCanonical(t *testing.T) {
	tests := []struct {
		text string
		want AOR
	}{
		{"sip:2001@Host.Example", AOR{"2001", "host.example"}},
		{"sip:2001@host.example.", AOR{"2001", "host.example"}},
		{"sip:%32001;x=y@host.example", AOR{"2001;x=y", "host.example"}},
		{"sip:2001@host.example:5080;user=phone;x=y", AOR{"2001", "host.example"}},
		{"sip:Anna:pw@host.example?x=y", AOR{"Anna", "host.example"}},
		{"sips:2001@[2001:DB8:0::1]", AOR{"2001", "[2001:db8::1]"}},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			if got := Canonical(parse(t, test.text)); got != test.want {
				t.Errorf("got %#v, want %#v", got, test.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"sip:2001@host.example;a=1?b=2", "sips:[::1]:5061", "tel:+49", "sip:%61:%62@h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		uri, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(written(uri))
		if err != nil || again != uri {
			t.Errorf("%q is written as %q and read as %#v, %v", text, written(uri), again, err)
		}
		if !uri.Equal(uri) {
			t.Errorf("%q does not equal itself", text)
		}
	})
}

// written returns a URI as it was written, with the scheme in lower case and the
// port without zeros in front.
func written(u URI) string {
	if !u.IsSIP() {
		return u.Scheme + ":" + u.Opaque
	}
	text := u.Host
	if u.Password != "" {
		text = ":" + u.Password + "@" + text
	} else if u.User != "" {
		text = "@" + text
	}
	text = u.Scheme + ":" + u.User + text
	if u.Port != 0 {
		text += fmt.Sprint(":", u.Port)
	}
	text += u.Params
	if u.Headers != "" {
		text += "?" + u.Headers
	}
	return text
}

func TestParam(t *testing.T) {
	tests := []struct {
		text, value string
		found       bool
	}{
		{"sip:a@h;expires=60", "60", true},
		{"sip:a@h;lr;EXP%69RES=60;x=y", "60", true},
		{"sip:a@h;expires", "", true},
		{"sip:a@h;expiresx=60", "", false},
		{"sip:a@h?expires=60", "", false},
		{"sip:a@h", "", false},
		{"tel:1;expires=60", "", false},
	}
	for _, test := range tests {
		uri, err := Parse(test.text)
		if err != nil {
			t.Fatal(err)
		}
		if value, found := uri.Param("expires"); value != test.value || found != test.found {
			t.Errorf("%s: %q, %v", test.text, value, found)
		}
	}
}
