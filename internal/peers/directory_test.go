package peers

import (
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"sipregd/internal/digest"
	"sipregd/internal/sipuri"
)

func TestDomains(t *testing.T) {
	two := []string{"Example.COM", "sales.example.com"}
	tests := []struct {
		name          string
		names         []string
		realm, host   string
		domain, asked string
		served        bool
	}{
		{"none", nil, "", "192.0.2.1", "", "sipregd", true},
		{"none, with realm", nil, "office", "192.0.2.1", "", "office", true},
		{"primary", two, "", "example.com", "example.com", "example.com", true},
		{"other case and a dot", two, "", "SALES.Example.com.", "sales.example.com", "sales.example.com", true},
		{"with realm", two, "office", "sales.example.com", "sales.example.com", "office", true},
		{"not served", two, "", "Example.org", "example.org", "example.org", false},
		{"parent is not served", two, "", "com", "com", "com", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := NewDomains(test.names, test.realm)
			domain, served := d.Match(test.host)
			if domain != test.domain || served != test.served {
				t.Errorf("got %q, %v", domain, served)
			}
			if got := d.Realm(domain); got != test.asked {
				t.Errorf("realm %q, want %q", got, test.asked)
			}
		})
	}
	if got := NewDomains(two, "").Primary(); got != "example.com" {
		t.Errorf("primary domain %q", got)
	}
	if got := NewDomains(nil, "x").Primary(); got != "" {
		t.Errorf("primary domain %q of none", got)
	}
}

func TestPermits(t *testing.T) {
	tests := []struct {
		name, permit, source string
		want                 bool
	}{
		{"nothing said", "", "203.0.113.9", true},
		{"inside", "192.0.2.0/24", "192.0.2.255", true},
		{"outside", "192.0.2.0/24", "192.0.3.0", false},
		{"the second of two", "192.0.2.0/24, 198.51.100.7", "198.51.100.7", true},
		{"single address", "198.51.100.7", "198.51.100.8", false},
		{"IPv4 in IPv6", "192.0.2.0/24", "::ffff:192.0.2.1", true},
		{"written as IPv4 in IPv6", "::ffff:192.0.2.0/120", "192.0.2.1", true},
		{"address written as IPv4 in IPv6", "::ffff:192.0.2.1", "192.0.2.1", true},
		{"netmask", "192.0.2.0/255.255.255.0", "192.0.2.9", true},
		{"outside of the netmask", "192.0.2.0/255.255.255.0", "192.0.3.9", false},
		{"everywhere in IPv4", "0.0.0.0/0.0.0.0", "203.0.113.9", true},
		{"IPv6", "2001:db8::/32", "2001:db8:1::2", true},
		{"IPv6 with zone", "fe80::/10", "fe80::1%eth0", true},
		{"IPv4 is no IPv6", "::/0", "192.0.2.1", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := onePeer(t, kitchen+"permit = "+test.permit, options())
			if got := p.Permits(netip.MustParseAddr(test.source)); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestNoNetwork(t *testing.T) {
	for _, text := range []string{"", "x", "192.0.2.0/", "192.0.2/24", "192.0.2.0/33", "192.0.2.0/255.0.255.0", "2001:db8::/255.255.0.0",
		"192.0.2.0/ffff::", "fe80::1%eth0", "fe80::1%eth0/64", "::ffff:0.0.0.0/90", "192.0.2.0/24/24"} {
		if network, err := parseNetwork(text); err == nil {
			t.Errorf("%q is taken for %v", text, network)
		}
	}
}

func TestByAuthname(t *testing.T) {
	d := mustParse(t, kitchen+"[Off]\nauthname = off\nsecret = s\naorname = 2002, 2003@sales.example.com\nenabled = no\n",
		options("example.com", "sales.example.com"))
	tests := []struct{ name, domain, authname, want string }{
		{"own domain", "example.com", "7f3a9c", "Kitchen, 1st floor"},
		{"domain that it has no part in", "sales.example.com", "7f3a9c", ""},
		{"disabled", "example.com", "off", "Off"},
		{"domain of an aorname", "sales.example.com", "off", "Off"},
		{"label", "example.com", "Off", ""},
		{"aorname", "example.com", "2001", ""},
		{"case", "example.com", "7F3A9C", ""},
		{"domain not served", "example.org", "off", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if p := d.ByAuthname(test.domain, test.authname); p != nil {
				got = p.Label
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestAOR(t *testing.T) {
	const peers = kitchen + "[Sales]\nauthname = s\nsecret = s\naorname = 2002@sales.example.com\n"
	served := options("example.com", "sales.example.com")
	tests := []struct {
		name, uri string
		options   Options
		want      sipuri.AOR
		served    bool
	}{
		{"any host", "sip:2001@192.0.2.1:5070", options(), sipuri.AOR{User: "2001"}, true},
		{"host that is told apart", "sip:2002@SALES.example.com;x=y", options(), sipuri.AOR{User: "2002", Domain: "sales.example.com"}, true},
		{"that user part at another host", "sip:2002@example.com", options(), sipuri.AOR{User: "2002"}, true},
		{"another user part at that host", "sip:2001@sales.example.com", options(), sipuri.AOR{User: "2001"}, true},
		{"escapes", "sip:%32001@example.com", options(), sipuri.AOR{User: "2001"}, true},
		{"served", "sips:2001@Example.com", served, sipuri.AOR{User: "2001", Domain: "example.com"}, true},
		{"second domain", "sip:2001@sales.example.com", served, sipuri.AOR{User: "2001", Domain: "sales.example.com"}, true},
		{"not served", "sip:2001@example.org", served, sipuri.AOR{User: "2001", Domain: "example.org"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			uri, err := sipuri.Parse(test.uri)
			if err != nil {
				t.Fatal(err)
			}
			aor, ok := mustParse(t, peers, test.options).AOR(uri)
			if aor != test.want || ok != test.served {
				t.Errorf("got %v, %v", aor, ok)
			}
		})
	}
}

func TestMayBind(t *testing.T) {
	const peers = `
[One]
authname = one
secret = s
aorname = 2001, 2002@sales.example.com
[Two]
authname = two
secret = s
aorname = 2001
[Any]
authname = any
secret = s
aorname = *, 2001
[Any, sales]
authname = sales
secret = s
aorname = *
domain = sales.example.com
`
	d := mustParse(t, peers, options("example.com", "sales.example.com"))
	tests := []struct {
		name, authname, user, domain string
		want                         bool
	}{
		{"listed", "one", "2001", "example.com", true},
		{"listed by a second one", "two", "2001", "example.com", true},
		{"listed in another domain", "one", "2002", "sales.example.com", true},
		{"same user part, other domain", "one", "2001", "sales.example.com", false},
		{"not listed", "two", "2002", "sales.example.com", false},
		{"named by nobody", "one", "2999", "example.com", false},
		{"case", "one", "2001", "EXAMPLE.com", false},
		{"any: named by nobody", "any", "2999", "example.com", true},
		{"any: named by itself too", "any", "2001", "example.com", true},
		{"any: of another domain", "any", "2999", "sales.example.com", false},
		{"any: named by another one", "sales", "2002", "sales.example.com", false},
		{"any: the same user part is free here", "sales", "2001", "sales.example.com", true},
		{"any: no user part", "any", "", "example.com", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var p *Peer
			for candidate := range d.All() {
				if candidate.Authname == test.authname {
					p = candidate
				}
			}
			if got := d.MayBind(p, sipuri.AOR{User: test.user, Domain: test.domain}); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAnyNeedsANameOfItsOwn(t *testing.T) {
	d := mustParse(t, "[Any]\nauthname = any\nsecret = s\naorname = *\n"+kitchen, options())
	any := d.ByAuthname("", "any")
	if !d.MayBind(any, sipuri.AOR{User: "2999"}) || d.MayBind(any, sipuri.AOR{User: "2001"}) {
		t.Error("* has to cover what nobody names, and no more")
	}
}

func TestA1IsPerRealm(t *testing.T) {
	p := onePeer(t, "[a]\nauthname = x\nsecret = s\naorname = 1, 1@sales.example.com", options("example.com", "sales.example.com", "example.org"))
	first, known1 := p.A1("example.com")
	second, known2 := p.A1("sales.example.com")
	if !known1 || !known2 || first == second {
		t.Error("one realm's A1 serves another")
	}
	if _, known := p.A1("example.org"); known {
		t.Error("A1 for a domain that the peer has no part in")
	}
}

func TestOneDomainForAllHostsHasOneRealm(t *testing.T) {
	p := onePeer(t, "[a]\nauthname = x\nsecret = s\naorname = 1@sales.example.com", options())
	if _, known := p.A1("sipregd"); !known || len(p.realms) != 1 {
		t.Errorf("%d realms", len(p.realms))
	}
}

func TestDigestServesDomainsOfOneRealm(t *testing.T) {
	o := options()
	o.Domains = NewDomains([]string{"example.com", "sales.example.com"}, "office")
	p := onePeer(t, "[a]\nauthname = x\npassword_digest = MD5:0123456789abcdef0123456789ABCDEF ; of s\naorname = 1, 1@sales.example.com", o)
	want, err := digest.ParseA1("MD5:0123456789abcdef0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	if a1, known := p.A1("office"); !known || a1 != want || len(p.proofs) != 1 {
		t.Errorf("%d realms, or another digest", len(p.proofs))
	}
}

func TestPermitIsMasked(t *testing.T) {
	d, _, err := parse(kitchen+"permit = 192.0.2.7/24", options())
	if err != nil {
		t.Fatal(err)
	}
	if got := d.peers[0].Permit[0].String(); got != "192.0.2.0/24" {
		t.Errorf("got %s", got)
	}
}

func TestCompare(t *testing.T) {
	peer := func(label, authname, rest string) string {
		return fmt.Sprintf("[%s]\nauthname = %s\nsecret = s\naorname = %s\n", label, authname, rest)
	}
	tests := []struct {
		name, old, next string
		want            Difference
		text            string
	}{
		{"nothing", peer("a", "a", "1"), peer("a", "a", "1"), Difference{}, "0 added, 0 removed, 0 changed"},
		{"moved is no change", peer("a", "a", "1") + peer("b", "b", "2"), "; x\n" + peer("b", "b", "2") + peer("a", "a", "1"),
			Difference{}, "0 added, 0 removed, 0 changed"},
		{"added", peer("a", "a", "1"), peer("b", "b", "2") + peer("a", "a", "1") + peer("c", "c", "3"),
			Difference{Added: []string{"b", "c"}}, "2 added, 0 removed, 0 changed"},
		{"removed", peer("c", "c", "1") + peer("b", "b", "2") + peer("a", "a", "3"), peer("b", "b", "2"),
			Difference{Removed: []string{"c", "a"}}, "0 added, 2 removed, 0 changed"},
		{"changed", peer("a", "a", "1"), peer("a", "a", "1\nmax_contacts = 2"),
			Difference{Changed: []string{"a"}}, "0 added, 0 removed, 1 changed"},
		{"secret changed", peer("a", "a", "1"), "[a]\nauthname = a\nsecret = t\naorname = 1",
			Difference{Changed: []string{"a"}}, "0 added, 0 removed, 1 changed"},
		{"authname changed", peer("a", "a", "1"), peer("a", "b", "1"), Difference{Changed: []string{"a"}}, "0 added, 0 removed, 1 changed"},
		{"aorname added", peer("a", "a", "1"), peer("a", "a", "1, 2"), Difference{Changed: []string{"a"}}, "0 added, 0 removed, 1 changed"},
		{"default changed", peer("a", "a", "1"), "permit = 192.0.2.0/24\n" + peer("a", "a", "1"),
			Difference{Changed: []string{"a"}}, "0 added, 0 removed, 1 changed"},
		{"label changed", peer("a", "a", "1"), peer("b", "a", "1"),
			Difference{Added: []string{"b"}, Removed: []string{"a"}}, "1 added, 1 removed, 0 changed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := Compare(mustParse(t, test.old, options()), mustParse(t, test.next, options()))
			if !reflect.DeepEqual(got, test.want) || got.String() != test.text {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestEqualSettingsAreOne(t *testing.T) {
	d := mustParse(t, "[a]\nauthname = a\nsecret = s\naorname = 1\n[b]\nauthname = b\nsecret = t\naorname = 2\n"+
		"[permit]\nauthname = c\nsecret = s\naorname = 3\npermit = 192.0.2.1\n"+
		"[same permit]\nauthname = d\nsecret = s\naorname = 4\npermit = 192.0.2.1/32\n"+
		"[contacts]\nauthname = e\nsecret = s\naorname = 5\nmax_contacts = 2\n"+
		"[realm]\nauthname = f\nsecret = s\naorname = 6, 6@sales.example.com\n", options("example.com", "sales.example.com"))
	first := []int{0, 0, 2, 2, 4, 5} // whose settings are the same
	for i := range d.peers {
		for j := range d.peers {
			if got, want := d.peers[i].Settings == d.peers[j].Settings, first[i] == first[j]; got != want {
				t.Errorf("%v and %v: %v", &d.peers[i], &d.peers[j], got)
			}
		}
	}
}

func TestWhatEnds(t *testing.T) {
	const other = "[Other]\nauthname = o\nsecret = s\naorname = 9\n"
	const any = "[a]\nauthname = a\nsecret = s\naorname = *\n"
	tests := []struct {
		name, old, next, authname string
		want                      bool
	}{
		{"nothing changed", kitchen, kitchen, "7f3a9c", true},
		{"other label and settings", kitchen, "[Hall]\nauthname = 7f3a9c\nsecret = any;text#at all\naorname = 2000, 2001\nmax_contacts = 1", "7f3a9c", true},
		{"removed", kitchen, other, "7f3a9c", false},
		{"disabled", kitchen, kitchen + "enabled = no", "7f3a9c", false},
		{"other secret", kitchen, "[Kitchen, 1st floor]\nauthname = 7f3a9c\nsecret = new\naorname = 2001", "7f3a9c", false},
		{"other authname", kitchen, "[Kitchen, 1st floor]\nauthname = x\nsecret = any;text#at all\naorname = 2001", "7f3a9c", false},
		{"lost the AOR", kitchen, "[Kitchen, 1st floor]\nauthname = 7f3a9c\nsecret = any;text#at all\naorname = 2002", "7f3a9c", false},
		{"any keeps it", any, any + other, "a", true},
		{"any loses it to a name", any, any + kitchen, "a", false},
		{"new", other, kitchen, "7f3a9c", true},
		{"new, and disabled", other, kitchen + "enabled = no", "7f3a9c", false},
		{"new, and without the AOR", other, "[a]\nauthname = a\nsecret = s\naorname = 2002", "a", false},
		{"never known", other, other, "7f3a9c", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			old, next := mustParse(t, test.old, options()), mustParse(t, test.next, options())
			if got := next.WhatEnds(old, "", test.authname, sipuri.AOR{User: "2001"}) == ""; got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// What a registration asks of a directory, each time of another peer.
func BenchmarkLookUp(b *testing.B) {
	const peers = 100_000
	var text strings.Builder
	authnames, uris := make([]string, peers), make([]sipuri.URI, peers)
	for i := range peers {
		authnames[i], uris[i] = fmt.Sprintf("auth%d", i), sipuri.URI{User: strconv.Itoa(i), Host: "192.0.2.1"}
		fmt.Fprintf(&text, "[Phone %d]\nauthname = %s\nsecret = s\naorname = %s\n", i, authnames[i], uris[i].User)
	}
	d := mustParse(b, text.String(), options())
	i := 0
	for b.Loop() {
		i = (i + 7919) % peers
		p := d.ByAuthname("", authnames[i])
		if aor, served := d.AOR(uris[i]); p == nil || !served || !d.MayBind(p, aor) {
			b.Fatal(i)
		}
		if _, known := p.A1("sipregd"); !known {
			b.Fatal(i)
		}
	}
}
