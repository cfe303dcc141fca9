package message

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestParseVia(t *testing.T) {
	const malformed = "Malformed Via"
	tests := []struct {
		name   string
		text   string
		want   string // for each value: transport host port branch rport
		reason string
	}{
		{"plain", "SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1", "UDP 192.0.2.7 5060 z9hG4bK-1 false", ""},
		{"no port, no branch", "SIP/2.0/TCP phone.example", "TCP phone.example 0  false", ""},
		{"white space wherever §25 allows it", "SIP / 2.0 / UDP \t phone.example : 5070 ; branch = z9hG4bK-1 ; rport", "UDP phone.example 5070 z9hG4bK-1 true", ""},
		{"any case", "sip/2.0/udp PHONE.example;BRANCH=z9hG4bK-1;RPort", "UDP PHONE.example 0 z9hG4bK-1 true", ""},
		{"IPv6", "SIP/2.0/UDP [2001:db8::1]:5060;branch=b", "UDP [2001:db8::1] 5060 b false", ""},
		{"IPv6 without port", "SIP/2.0/UDP [2001:db8::1];branch=b", "UDP [2001:db8::1] 0 b false", ""},
		{"name with an underscore", "SIP/2.0/UDP my_phone", "UDP my_phone 0  false", ""},
		{"list", "SIP/2.0/UDP a;branch=1 ,SIP/2.0/TLS b:1;x=\"y,z\";rport", "UDP a 0 1 false, TLS b 1  true", ""},
		{"another version", "SIP/3.0/UDP a", "", malformed},
		{"no transport", "SIP/2.0/ a", "", malformed},
		{"no white space before sent-by", "SIP/2.0/UDPa", "", malformed},
		{"no sent-by", "SIP/2.0/UDP ", "", malformed},
		{"host with a hyphen in front", "SIP/2.0/UDP -a", "", malformed},
		{"IPv6 without brackets", "SIP/2.0/UDP 2001:db8::1", "", malformed},
		{"unclosed bracket", "SIP/2.0/UDP [2001:db8::1:5060", "", malformed},
		{"port 0", "SIP/2.0/UDP a:0", "", malformed},
		{"port 65536", "SIP/2.0/UDP a:65536", "", malformed},
		{"port that is no number", "SIP/2.0/UDP a:b", "", malformed},
		{"comma at the end", "SIP/2.0/UDP a,", "", malformed},
		{"text behind", "SIP/2.0/UDP a b", "", malformed},
		{"two branches", "SIP/2.0/UDP a;branch=1;branch=2", "", "Malformed Via Branch"},
		{"branch of other characters than a token's, as phones make it", "SIP/2.0/UDP a;branch=z9hG4bK:a@b/c=", "UDP a 0 z9hG4bK:a@b/c= false", ""},
		{"quoted branch", `SIP/2.0/UDP a;branch="z9hG4bKb"`, "UDP a 0 z9hG4bKb false", ""},
		{"separator in a quoted branch", `SIP/2.0/UDP a;branch="z9hG4bK,b"`, "", "Malformed Via Branch"},
		{"control character behind a backslash in a branch", "SIP/2.0/UDP a;branch=\"z9hG4bK\\\x01b\"", "", "Malformed Via Branch"},
		{"NUL behind a backslash in a branch", "SIP/2.0/UDP a;branch=\"z9hG4bK\\\x00b\"", "", "Malformed Parameter"},
		{"branch without a value", "SIP/2.0/UDP a;branch", "UDP a 0  false", ""},
		{"rport with a value, even the default one", "SIP/2.0/UDP a;rport=5060", "UDP a 0  true", ""},
		{"branch too long", "SIP/2.0/UDP a;branch=" + strings.Repeat("b", MaxCallID+1), "", "Malformed Via Branch"},
		{"two rport", "SIP/2.0/UDP a;rport;rport=1", "", "Malformed Via Rport"},
		{"two received", "SIP/2.0/UDP a;received=1.1.1.1;received=1.1.1.2", "", "Malformed Via Received"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := parseStream(replaced("Via", "Via: "+test.text))
			if test.reason != "" {
				wantError(t, err, 400, test.reason)
				return
			}
			var got []string
			for _, v := range r.Vias {
				got = append(got, fmt.Sprint(v.Transport, " ", v.Host, " ", v.Port, " ", v.Branch, " ", v.RPort))
			}
			if err != nil || strings.Join(got, ", ") != test.want {
				t.Errorf("%s, %v\nwant %s", strings.Join(got, ", "), err, test.want)
			}
		})
	}
}

// The magic cookie alone is no branch (§8.1.1.7).
func TestViaCookie(t *testing.T) {
	for branch, want := range map[string]bool{"z9hG4bK1": true, "Z9HG4BK1": true, "z9hG4bK": false, "": false, "1z9hG4bK1": false} {
		if via := (Via{Branch: branch}); via.Cookie() != want {
			t.Errorf("%q: %v", branch, !want)
		}
	}
}

// RFC 3261 §18.2.1 and RFC 3581 §4: what the sender says of received and rport
// does not count.
func TestRenderTopmostVia(t *testing.T) {
	tests := []struct{ name, via, source, want string }{
		{"sent-by is the source", "SIP/2.0/UDP 192.0.2.7:5060;branch=b", "192.0.2.7:9999", "SIP/2.0/UDP 192.0.2.7:5060;branch=b"},
		{"sent-by is another address", "SIP/2.0/UDP 10.0.0.1;branch=b", "192.0.2.7:5060", "SIP/2.0/UDP 10.0.0.1;branch=b;received=192.0.2.7"},
		{"sent-by is a name", "SIP/2.0/UDP phone.example;branch=b", "192.0.2.7:5060", "SIP/2.0/UDP phone.example;branch=b;received=192.0.2.7"},
		{"rport asks for both", "SIP/2.0/UDP 192.0.2.7:5060;rport;branch=b", "192.0.2.7:4000", "SIP/2.0/UDP 192.0.2.7:5060;branch=b;rport=4000;received=192.0.2.7"},
		{"spoofed received", "SIP/2.0/UDP 192.0.2.7;received=203.0.113.9;branch=b", "192.0.2.7:5060", "SIP/2.0/UDP 192.0.2.7;branch=b"},
		{"spoofed received and another sent-by", "SIP/2.0/UDP a;Received=203.0.113.9", "192.0.2.7:5060", "SIP/2.0/UDP a;received=192.0.2.7"},
		{"spoofed rport", "SIP/2.0/UDP a;rport=53;received=203.0.113.9", "192.0.2.7:4000", "SIP/2.0/UDP a;rport=4000;received=192.0.2.7"},
		{"IPv6 in another notation", "SIP/2.0/UDP [2001:DB8:0::1]:5060", "[2001:db8::1]:5060", "SIP/2.0/UDP [2001:DB8:0::1]:5060"},
		{"IPv6 has no brackets in received", "SIP/2.0/UDP a;rport", "[2001:db8::1]:5060", "SIP/2.0/UDP a;rport=5060;received=2001:db8::1"},
		{"zone of a link-local address", "SIP/2.0/UDP a", "[fe80::1%eth0]:5060", "SIP/2.0/UDP a;received=fe80::1"},
		{"IPv4 in an IPv6 socket", "SIP/2.0/UDP 192.0.2.7", "[::ffff:192.0.2.7]:5060", "SIP/2.0/UDP 192.0.2.7"},
		{"other parameters stay as they came", "SIP/2.0/UDP a ; x = \"1;2\" ;maddr=203.0.113.9", "192.0.2.7:5060", "SIP/2.0/UDP a;x = \"1;2\";maddr=203.0.113.9;received=192.0.2.7"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			flow := Flow{Transport: "UDP", Source: netip.MustParseAddrPort(test.source)}
			r, err := NewParser().Parse([]byte(replaced("Via", "Via: "+test.via)), flow)
			if err != nil {
				t.Fatal(err)
			}
			text := string(render(r, NewResponse(200, "OK"), "t"))
			if want := "SIP/2.0 200 OK\r\nVia: " + test.want + "\r\n"; !strings.HasPrefix(text, want) {
				t.Errorf("got\n%s\nwant\n%s", text, want)
			}
		})
	}
}

// §18.2.2 and RFC 3581 §4; maddr and received of the sender are not followed.
func TestResponseAddr(t *testing.T) {
	const source = "192.0.2.7:4000"
	tests := []struct{ name, via, want string }{
		{"rport: the source", "SIP/2.0/UDP 10.0.0.1:5070;rport", source},
		{"rport and no port: the source", "SIP/2.0/UDP 10.0.0.1;rport", source},
		{"port of sent-by", "SIP/2.0/UDP 10.0.0.1:5070", "192.0.2.7:5070"},
		{"default port", "SIP/2.0/UDP 10.0.0.1", "192.0.2.7:5060"},
		{"spoofed received and rport", "SIP/2.0/UDP 10.0.0.1:5070;received=203.0.113.9;rport=53", source},
		{"maddr", "SIP/2.0/UDP 10.0.0.1:5070;maddr=203.0.113.9", "192.0.2.7:5070"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			via := parseSound(t, replaced("Via", "Via: "+test.via)).Vias[0]
			if got := via.ResponseAddr(netip.MustParseAddrPort(source)); got.String() != test.want {
				t.Errorf("%v, want %s", got, test.want)
			}
		})
	}
}
