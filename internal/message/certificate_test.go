package message

import (
	"strings"
	"testing"
)

func TestNamesOfCertificates(t *testing.T) {
	tests := []struct {
		name, want string // empty: it does not count
	}{
		{"GW1.Example.com", "gw1.example.com"},
		{"CN=GW 1,O=Ä", "cn=gw 1,o=Ä"},
		{"\u212Aitchen", "\u212Aitchen"}, // the sign for kelvin is no k
		{strings.Repeat("X", 255), strings.Repeat("x", 255)},
		{strings.Repeat("x", 256), ""},
		{"", ""},
		{" gw", ""},
		{"gw\x00.example.com", ""},
		{"gw\r\nX: y", ""},
		{"gw\xff", ""},
	}
	for _, test := range tests {
		if is := IsCertificateName(test.name); is != (test.want != "") {
			t.Errorf("%q: counts: %v", test.name, is)
		} else if got := CanonicalName(test.name); is && got != test.want {
			t.Errorf("%q: got %q, want %q", test.name, got, test.want)
		}
	}
}
