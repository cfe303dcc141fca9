package sipuri

import "testing"

// The pairs follow the rules of RFC 3261 §19.1.4 one by one.
func TestEqual(t *testing.T) {
	tests := []struct {
		name string
		a, b string
		want bool
	}{
		{"same", "sip:2001@host.example", "sip:2001@host.example", true},
		{"sip and sips", "sip:2001@host.example", "sips:2001@host.example", false},
		{"case of scheme", "SIP:2001@host.example", "sip:2001@host.example", true},
		{"case of user", "sip:Anna@host.example", "sip:anna@host.example", false},
		{"case of host", "sip:2001@HOST.example", "sip:2001@host.EXAMPLE", true},
		{"user in one only", "sip:2001@host.example", "sip:host.example", false},
		{"password in one only", "sip:2001:x@host.example", "sip:2001@host.example", false},
		{"case of password", "sip:2001:x@host.example", "sip:2001:X@host.example", false},
		{"escape of unreserved", "sip:%61nna@host.example", "sip:anna@host.example", true},
		{"case of escape digits", "sip:a%2Fb@host.example", "sip:a%2fb@host.example", true},
		{"escape of reserved", "sip:a%2Fb@host.example", "sip:a/b@host.example", false},
		{"escaped percent", "sip:a%2561@host.example", "sip:a%61@host.example", false},
		{"port 5060 written out", "sip:2001@host.example:5060", "sip:2001@host.example", false},
		{"other port", "sip:2001@host.example:5061", "sip:2001@host.example:5060", false},
		{"transport=udp written out", "sip:2001@host.example;transport=udp", "sip:2001@host.example", false},
		{"case of parameter", "sip:2001@host.example;Transport=UDP", "sip:2001@host.example;transport=udp", true},
		{"other transport", "sip:2001@host.example;transport=udp", "sip:2001@host.example;transport=tcp", false},
		{"order of parameters", "sip:2001@host.example;a=1;b=2", "sip:2001@host.example;b=2;a=1", true},
		{"unknown parameter in one only", "sip:2001@host.example;line=abc", "sip:2001@host.example", true},
		{"unknown parameter differs", "sip:2001@host.example;line=abc", "sip:2001@host.example;line=xyz", false},
		{"escaped name of parameter", "sip:2001@host.example;%4cine=abc;x", "sip:2001@host.example;x;line=abc", true},
		{"escaped name of parameter that differs", "sip:2001@host.example;%4cine=abc;x", "sip:2001@host.example;x;line=xyz", false},
		{"parameter without and with an empty value", "sip:2001@host.example;line;x", "sip:2001@host.example;x;line=", true},
		{"maddr in one only", "sip:2001@host.example;maddr=192.0.2.1", "sip:2001@host.example", false},
		{"ttl in one only", "sip:2001@host.example;ttl=3", "sip:2001@host.example", false},
		{"user in one only as parameter", "sip:2001@host.example;user=phone", "sip:2001@host.example", false},
		{"method in one only", "sip:2001@host.example;method=INVITE", "sip:2001@host.example", false},
		{"escaped name of counting parameter", "sip:2001@host.example;%75ser=phone", "sip:2001@host.example", false},
		{"header in one only", "sip:2001@host.example?subject=x", "sip:2001@host.example", false},
		{"order of headers", "sip:2001@host.example?a=1&b=2", "sip:2001@host.example?b=2&a=1", true},
		{"case of header name", "sip:2001@host.example?Subject=x", "sip:2001@host.example?%73ubject=x", true},
		{"case of header value", "sip:2001@host.example?a=x", "sip:2001@host.example?a=X", false},
		{"header more than once, in another order", "sip:h.example?a=1&a=2", "sip:h.example?a=2&a=1", true},
		{"header value differs", "sip:2001@host.example?a=1", "sip:2001@host.example?a=2", false},
		{"header twice against two", "sip:h.example?a=1&a=1", "sip:h.example?a=1&b=1", false},
		{"IPv6 with three colons", "sip:2001@[2001:db8:::192.0.2.1]", "sip:2001@[2001:db8::c000:201]", true},
		{"IPv6 forms", "sip:2001@[2001:db8:0:0::1]", "sip:2001@[2001:DB8::1]", true},
		{"name and address are not resolved", "sip:2001@localhost", "sip:2001@127.0.0.1", false},
		{"other scheme", "tel:+4930123", "tel:+4930123", true},
		{"other scheme differs", "tel:+4930123", "tel:+4930124", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, b := parse(t, test.a), parse(t, test.b)
			if got := a.Equal(b); got != test.want {
				t.Errorf("%s = %s: %v, want %v", test.a, test.b, got, test.want)
			}
			if got := b.Equal(a); got != test.want {
				t.Errorf("%s = %s: %v, want %v", test.b, test.a, got, test.want)
			}
		})
	}
}

func parse(t *testing.T, text string) URI {
	t.Helper()
	uri, err := Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return uri
}
