package peers

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"sipregd/internal/digest"
	"sipregd/internal/inifile"
	"sipregd/internal/sipuri"
)

// options are the defaults of sipregd.conf, with those domains.
func options(domains ...string) Options {
	return Options{
		Domains:           NewDomains(domains, ""),
		Algorithms:        []digest.Algorithm{digest.MD5},
		MaxContacts:       10,
		RemoveExisting:    true,
		MinimumExpiration: 60,
		DefaultExpiration: 3600,
		MaximumExpiration: 7200,
	}
}

// parse reads text as peers.conf.
func parse(text string, o Options) (*Directory, []string, error) {
	l := newLoader(o)
	checked, err := inifile.Check("peers.conf", []byte(text))
	if err != nil {
		return nil, nil, err
	}
	if err := l.addFile(checked); err != nil {
		return nil, nil, err
	}
	return l.finish()
}

func mustParse(t testing.TB, text string, o Options) *Directory {
	t.Helper()
	d, warnings, err := parse(text, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) > 0 {
		t.Errorf("unexpected warnings: %q", warnings)
	}
	return d
}

// onePeer returns the peer of the last section.
func onePeer(t testing.TB, text string, o Options) *Peer {
	t.Helper()
	d := mustParse(t, text, o)
	return &d.peers[d.Len()-1]
}

const kitchen = "[Kitchen, 1st floor]\nauthname = 7f3a9c\nsecret = any;text#at all\naorname = 2001\n"

func TestPeerOfThreeLines(t *testing.T) {
	got := onePeer(t, "; a comment\n"+kitchen, options())
	want := &Peer{
		Label:    "Kitchen, 1st floor",
		Authname: "7f3a9c",
		AORs:     []sipuri.AOR{{User: "2001"}},
		Settings: &Settings{plainSettings: plainSettings{
			Enabled:           true,
			MaxContacts:       10,
			RemoveExisting:    true,
			MinimumExpiration: 60,
			DefaultExpiration: 3600,
			MaximumExpiration: 7200,
		}, realms: []string{"sipregd"}, longer: []longName{{"sipregd", "sipregd"}}},
		at:     place{file: 0, line: 2},
		proofs: []digest.A1{digest.NewA1("7f3a9c", "sipregd", "any;text#at all"), digest.NewA1("7f3a9c@sipregd", "sipregd", "any;text#at all")},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, want %#v", got, want)
	}
}

func TestOptionalKeys(t *testing.T) {
	o := options("example.com", "sales.example.com")
	o.Algorithms = []digest.Algorithm{digest.SHA256, digest.MD5}
	got := onePeer(t, `
[Front desk]
authname = frontdesk
secret = s
aorname = 2001, 2002@Sales.Example.com ; two
max_contacts = 3
remove_existing = no
remove_unavailable = yes
cseq_reset = yes
recognize_phone = no
qualify_frequency = auto
qualify_timeout = 5
minimum_expiration = 120
default_expiration = 600
maximum_expiration = 900
permit = 192.0.2.0/24, 2001:db8::/32
algorithm = sha-256   # only
domain = Sales.example.com
enabled = off
defaultname = 2009
defaulthost = 192.0.2.9:5060
host = dynamic
`, o)
	want := &Peer{
		Label:    "Front desk",
		Authname: "frontdesk",
		AORs:     []sipuri.AOR{{User: "2001", Domain: "sales.example.com"}, {User: "2002", Domain: "sales.example.com"}},
		Settings: &Settings{plainSettings: plainSettings{
			Domain:            "sales.example.com",
			Algorithm:         digest.SHA256,
			MaxContacts:       3,
			RemoveUnavailable: true,
			CSeqReset:         true,
			RecognizePhone:    Never,
			QualifyFrequency:  inifile.Auto,
			QualifyTimeout:    5,
			MinimumExpiration: 120,
			DefaultExpiration: 600,
			MaximumExpiration: 900,
			DefaultName:       "2009",
			DefaultHost:       "192.0.2.9:5060",
		}, Permit: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
			realms: []string{"sales.example.com"}, longer: []longName{{"sales.example.com", "sales.example.com"}}},
		at:     place{file: 0, line: 2},
		proofs: []digest.A1{digest.NewA1("frontdesk", "sales.example.com", "s"), digest.NewA1("frontdesk@sales.example.com", "sales.example.com", "s")},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, want %#v", got, want)
	}
}

func TestDefaultsOfAFile(t *testing.T) {
	d := mustParse(t, "max_contacts = 5\npermit = 192.0.2.0/24\nenabled = no\n"+kitchen+
		"[Other]\nauthname = o\nsecret = s\naorname = 2002\nmax_contacts = 7\npermit =\nenabled = yes\n", options())
	first, second := d.peers[0], d.peers[1]
	if first.MaxContacts != 5 || len(first.Permit) != 1 || first.Enabled {
		t.Errorf("the defaults do not hold: %#v", first)
	}
	if second.MaxContacts != 7 || len(second.Permit) != 0 || !second.Enabled {
		t.Errorf("the peer's own do not hold: %#v", second)
	}
}

func TestDefaultsEndWithTheirFile(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "a.conf", "max_contacts = 5\n"+kitchen, 0o600)
	write(t, "b.conf", "[Other]\nauthname = o\nsecret = s\naorname = 2002\n", 0o600)
	d, _, err := Load([]string{"a.conf", "b.conf"}, options())
	if err != nil {
		t.Fatal(err)
	}
	if got := d.ByAuthname("", "o").MaxContacts; got != 10 {
		t.Errorf("max_contacts is %d", got)
	}
}

func TestExpirations(t *testing.T) {
	tests := []struct {
		name, lines            string
		minimum, deflt, maxmum uint32
	}{
		{"inherited", "", 60, 3600, 7200},
		{"the default keeps to a maximum", "maximum_expiration = 600", 60, 600, 600},
		{"the default keeps to a minimum", "minimum_expiration = 5000", 5000, 5000, 7200},
		{"all the same", "minimum_expiration = 9\ndefault_expiration = 9\nmaximum_expiration = 9", 9, 9, 9},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := onePeer(t, kitchen+test.lines, options())
			got := [...]uint32{p.MinimumExpiration, p.DefaultExpiration, p.MaximumExpiration}
			if want := [...]uint32{test.minimum, test.deflt, test.maxmum}; got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestAORNames(t *testing.T) {
	served := []string{"example.com", "sales.example.com"}
	tests := []struct {
		name, value string
		domains     []string
		want        []sipuri.AOR
		any         bool
	}{
		{"plain, no domain", "2001", nil, []sipuri.AOR{{User: "2001"}}, false},
		{"host, no domain", "2002@Sales.example.com", nil, []sipuri.AOR{{User: "2002", Domain: "sales.example.com"}}, false},
		{"plain in the primary domain", "2001", served, []sipuri.AOR{{User: "2001", Domain: "example.com"}}, false},
		{"domain named", "2002@SALES.example.com.", served, []sipuri.AOR{{User: "2002", Domain: "sales.example.com"}}, false},
		{"case of the user part", "Anna, anna", nil, []sipuri.AOR{{User: "Anna"}, {User: "anna"}}, false},
		{"escapes", "%61nna, a%20b, 50%25", nil, []sipuri.AOR{{User: "anna"}, {User: "a b"}, {User: "50%"}}, false},
		{"no escape", "100%", nil, []sipuri.AOR{{User: "100%"}}, false},
		{"beyond ASCII", "Jürgen, J%C3%BCrgen", nil, []sipuri.AOR{{User: "Jürgen"}}, false},
		{"twice in other words", "2001, 2001@example.com", served, []sipuri.AOR{{User: "2001", Domain: "example.com"}}, false},
		{"any", "*", served, nil, true},
		{"any and one", "*, 2001", nil, []sipuri.AOR{{User: "2001"}}, true},
		{"escaped asterisk", "%2A", nil, []sipuri.AOR{{User: "*"}}, false},
		{"feature code", "*72", nil, []sipuri.AOR{{User: "*72"}}, false},
		{"IPv6 domain", "2001@[2001:DB8:0::1]", nil, []sipuri.AOR{{User: "2001", Domain: "[2001:db8::1]"}}, false},
		{"comment", "2001 ; the kitchen", nil, []sipuri.AOR{{User: "2001"}}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := onePeer(t, "[a]\nauthname = b\nsecret = c\naorname = "+test.value, options(test.domains...))
			if !reflect.DeepEqual(p.AORs, test.want) || p.AnyAOR != test.any {
				t.Errorf("got %v, any %v; want %v, any %v", p.AORs, p.AnyAOR, test.want, test.any)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	const (
		names     = "authname = a\naorname = 1\n"
		md5Digits = "0123456789abcdef0123456789abcdef"
		other     = "[Other]\nauthname = o\nsecret = s\naorname = 2\n"
	)
	tests := []struct {
		name, text string
		want       string // without the path in front of each line
	}{
		{"syntax", "[a]\nhunter2", "2: [a] the line is no section, no key and no comment; write [section], key = value, or ; before a comment"},
		{"no authname", other + "[a]\nsecret = s\naorname = 1",
			"5: [a] authname is missing; write authname = and the digest username (Auth ID) that the phone is set to"},
		{"no aorname", "[a]\nsecret = s\nauthname = 1",
			"1: [a] aorname is missing; write aorname = and the user part of the address-of-record that the phone registers, or user@domain, or * for any"},
		{"no secret", "[a]\nauthname = x\naorname = 1",
			"1: [a] secret is missing; write secret = and the password that the phone is set to, or password_digest = and its digest, or certificate_name = and a name in its client certificate"},
		{"none of the names", "[a]\n",
			"1: [a] authname is missing; write authname = and the digest username (Auth ID) that the phone is set to\n" +
				"1: [a] aorname is missing; write aorname = and the user part of the address-of-record that the phone registers, or user@domain, or * for any\n" +
				"1: [a] secret is missing; write secret = and the password that the phone is set to, or password_digest = and its digest, or certificate_name = and a name in its client certificate"},
		{"empty authname", "[a]\nauthname =\nsecret = s\naorname = 1", "2: [a] authname is empty; write authname = and the digest username (Auth ID) that the phone is set to"},
		{"empty secret", "[a]\n" + names + "secret =", "4: [a] secret is empty; write secret = and the password that the phone is set to, or password_digest = and its digest, or certificate_name = and a name in its client certificate"},
		{"empty aorname", "[a]\nauthname = a\nsecret = s\naorname = ; none", "4: [a] aorname is empty; write aorname = and the user part of the address-of-record that the phone registers, or user@domain, or * for any"},
		{"secret and digest", "[a]\n" + names + "secret = s\npassword_digest = MD5:" + md5Digits,
			"5: [a] secret (line 4) and password_digest (line 5) stand together; keep one of the two"},
		{"digest without algorithm", "[a]\n" + names + "password_digest = hunter2:" + md5Digits,
			"4: [a] password_digest does not begin with the name of an algorithm; write MD5: or SHA-256: and the hash of authname:realm:password in hexadecimal"},
		{"secret for a digest", "[a]\n" + names + "password_digest = hunter2",
			"4: [a] password_digest does not begin with the name of an algorithm; write MD5: or SHA-256: and the hash of authname:realm:password in hexadecimal"},
		{"digest too short", "[a]\n" + names + "password_digest = MD5:0123",
			"4: [a] password_digest is malformed: a digest of the algorithm MD5 has 32 hexadecimal digits, this one has 4; write MD5: or SHA-256: and the hash of authname:realm:password in hexadecimal"},
		{"digest for nothing that is offered", "[a]\n" + names + "password_digest = SHA-256:" + md5Digits + md5Digits,
			"4: [a] password_digest has no digest for MD5; write MD5: and the hash of authname:realm:password in hexadecimal"},
		{"algorithm not offered", "[a]\n" + names + "secret = s\nalgorithm = SHA-256",
			"5: [a] algorithm is SHA-256, which is not offered; add it to [registrar] algorithms of sipregd.conf, or leave the line out"},
		{"algorithm unknown", "[a]\n" + names + "secret = s\nalgorithm = SHA", `5: [a] algorithm is "SHA"; write MD5 or SHA-256`},
		{"label twice", other + "[Other]\n" + names + "secret = s",
			"5: [Other] the label stands at peers.conf:1 already; give each peer its own"},
		{"authname twice", other + "[a]\nauthname = o\nsecret = t\naorname = 3",
			`6: [a] authname "o" is that of [Other] at peers.conf:1 already; give each peer its own`},
		{"key twice", "[a]\n" + names + "secret = s\nsecret = s", "5: [a] secret stands on line 4 already; keep one of the two"},
		{"default twice", "max_contacts = 1\nmax_contacts = 2\n" + other, "2: max_contacts stands on line 1 already; keep one of the two"},
		{"unknown key", "[a]\n" + names + "secret = s\nmax_contact = 1", "5: [a] unknown key max_contact; did you mean max_contacts?"},
		{"unknown key like none", "[a]\n" + names + "secret = s\ntype = friend",
			"5: [a] unknown key type; the keys here are authname, aorname, secret, password_digest, certificate_name, max_contacts, max_aors, remove_existing, remove_unavailable, cseq_reset, recognize_phone, qualify_frequency, qualify_timeout, minimum_expiration, default_expiration, maximum_expiration, permit, algorithm, domain, enabled, defaultname, defaulthost"},
		{"broken secret is not repeated", "[a]\n" + names + "secret: hunter2=\n",
			"4: [a] unknown key; the keys here are authname, aorname, secret, password_digest, certificate_name, max_contacts, max_aors, remove_existing, remove_unavailable, cseq_reset, recognize_phone, qualify_frequency, qualify_timeout, minimum_expiration, default_expiration, maximum_expiration, permit, algorithm, domain, enabled, defaultname, defaulthost\n" +
				"1: [a] secret is missing; write secret = and the password that the phone is set to, or password_digest = and its digest, or certificate_name = and a name in its client certificate"},
		{"username", "[a]\nusername = x\nsecret = s\naorname = 1",
			"2: [a] username is a word of Asterisk's; say authname for the digest username (Auth ID) of the phone\n" +
				"1: [a] authname is missing; write authname = and the digest username (Auth ID) that the phone is set to"},
		{"host", "[a]\n" + names + "secret = s\nhost = 192.0.2.7",
			`5: [a] host is "192.0.2.7", but each peer registers where it is to be reached; write host = dynamic or leave the line out; permit says where a peer may come from`},
		{"authname as a default", "authname = a\n" + other, "1: authname stands before the first section; write it below the [label] of its peer: no two have the same"},
		{"secret as a default", "secret = hunter2\n" + other, "1: secret stands before the first section; write it below the [label] of its peer: no two have the same"},
		{"bad default", "max_contacts = x\n" + other, `1: max_contacts is "x"; write a whole number from 1 to 2147483647`},
		{"max_contacts", "[a]\n" + names + "secret = s\nmax_contacts = 0", `5: [a] max_contacts is "0"; write a whole number from 1 to 2147483647`},
		{"enabled", "[a]\n" + names + "secret = s\nenabled = maybe", `5: [a] enabled is "maybe"; write yes or no`},
		{"expiration", "[a]\n" + names + "secret = s\ndefault_expiration = 1h", `5: [a] default_expiration is "1h"; write a whole number from 1 to 4294967295`},
		{"minimum above maximum", "minimum_expiration = 100\n[a]\n" + names + "secret = s\nmaximum_expiration = 90",
			"6: [a] minimum_expiration = 100 (line 1) is above maximum_expiration = 90 (line 6); write minimum_expiration <= default_expiration <= maximum_expiration"},
		{"minimum of sipregd.conf above maximum", "[a]\n" + names + "secret = s\nmaximum_expiration = 30",
			"5: [a] minimum_expiration = 60 (from sipregd.conf) is above maximum_expiration = 30 (line 5); write minimum_expiration <= default_expiration <= maximum_expiration"},
		{"default below minimum", "[a]\n" + names + "secret = s\ndefault_expiration = 30",
			"5: [a] minimum_expiration = 60 (from sipregd.conf) is above default_expiration = 30 (line 5); write minimum_expiration <= default_expiration <= maximum_expiration"},
		{"default above maximum", "[a]\n" + names + "secret = s\ndefault_expiration = 7201",
			"5: [a] default_expiration = 7201 (line 5) is above maximum_expiration = 7200 (from sipregd.conf); write minimum_expiration <= default_expiration <= maximum_expiration"},
		{"domain not served", "[a]\n" + names + "secret = s\ndomain = example.org", "5: [a] domain is example.org, which is not served here; add example.org to [registrar] domain of sipregd.conf"},
		{"domain that is none", "[a]\n" + names + "secret = s\ndomain = sip:x", `5: [a] domain is "sip:x", which is no host name; write a domain that is served, such as example.com`},
		{"permit", "[a]\n" + names + "secret = s\npermit = 192.0.2.0/33", `5: [a] permit holds "192.0.2.0/33", which is no network; write networks such as 192.0.2.0/24 or 2001:db8::/32, or single addresses`},
		{"defaulthost", "[a]\n" + names + "secret = s\ndefaulthost = 2001@h", `5: [a] defaulthost is "2001@h"; write a host, or host:port`},
		{"aorname not served", "[a]\nauthname = a\nsecret = s\naorname = 1@example.org", "4: [a] aorname names the domain example.org, which is not served here; add example.org to [registrar] domain of sipregd.conf"},
		{"aorname without user part", "[a]\nauthname = a\nsecret = s\naorname = @example.com", `4: [a] aorname holds "@example.com"; write a user part, or user@domain`},
		{"aorname without domain", "[a]\nauthname = a\nsecret = s\naorname = 1@", `4: [a] aorname holds "1@"; write a user part, or user@domain`},
		{"hole in aornames", "[a]\nauthname = a\nsecret = s\naorname = 1,,2", `4: [a] aorname has an empty place in its list; write one comma between two values, and none at the end`},
		{"aornames without comma", "[a]\nauthname = a\nsecret = s\naorname = 1 2", `4: [a] aorname holds "1 2"; write user or user@domain without sip: and port, commas between two, and %20 for a blank`},
		{"aorname with scheme", "[a]\nauthname = a\nsecret = s\naorname = sip:1@example.com", `4: [a] aorname holds "sip:1@example.com"; write user or user@domain without sip: and port, commas between two, and %20 for a blank`},
		{"aorname with port", "[a]\nauthname = a\nsecret = s\naorname = 1@example.com:5060", `4: [a] aorname holds "1@example.com:5060"; write a host name behind the @, and %40 for an @ in the user part`},
		{"aorname with escaped control", "[a]\nauthname = a\nsecret = s\naorname = 1%0A2", `4: [a] aorname holds "1%0A2"; write user or user@domain without sip: and port, commas between two, and %20 for a blank`},
		{"any of another domain", "[a]\nauthname = a\nsecret = s\naorname = *@example.com", `4: [a] aorname holds "*@example.com"; write * alone, and domain = for the domain that it means`},
		{"empty certificate_name", "[a]\n" + names + "certificate_name = ; none",
			"4: [a] certificate_name is empty; write a name that stands in the client certificate of the phone, such as gw1.example.com"},
		{"hole in certificate_name", "[a]\n" + names + "certificate_name = a,,b",
			"4: [a] certificate_name has an empty place in its list; write one comma between two values, and none at the end"},
		{"comma at the end of certificate_name", "[a]\n" + names + "certificate_name = a,",
			"4: [a] certificate_name has an empty place in its list; write one comma between two values, and none at the end"},
		{"subject without quotes", "[a]\n" + names + "certificate_name = CN=gw1,O=Example",
			`4: [a] certificate_name holds "CN=gw1", which looks like a part of a subject; write a whole subject in quotes, such as "CN=gw1,O=Example"`},
		{"subject with one quote", "[a]\n" + names + "certificate_name = \"CN=gw1,O=Example",
			`4: [a] certificate_name has a quote that does not end, or something else than a comma and a name behind one; write a whole subject in quotes, such as "CN=gw1,O=Example"`},
		{"comma behind a subject", "[a]\n" + names + "certificate_name = \"CN=gw1,O=Example\" ,",
			`4: [a] certificate_name has a quote that does not end, or something else than a comma and a name behind one; write a whole subject in quotes, such as "CN=gw1,O=Example"`},
		{"two subjects without a comma", "[a]\n" + names + "certificate_name = \"CN=a\" \"CN=b\"",
			`4: [a] certificate_name has a quote that does not end, or something else than a comma and a name behind one; write a whole subject in quotes, such as "CN=gw1,O=Example"`},
		{"empty quotes", "[a]\n" + names + "certificate_name = \"\", b",
			`4: [a] certificate_name holds "", which no certificate is known by; write a name that stands in the client certificate of the phone, such as gw1.example.com`},
		{"long certificate_name", "[a]\n" + names + "certificate_name = " + strings.Repeat("x", 256),
			`4: [a] certificate_name holds "` + strings.Repeat("x", 80) + `…", which no certificate is known by; write a name that stands in the client certificate of the phone, such as gw1.example.com`},
		{"certificate_name as a default", "certificate_name = a\n" + other, "1: certificate_name stands before the first section; write it below the [label] of its peer: no two have the same"},
		{"two peers at once", "[a]\nauthname = a\naorname = 1\n[b]\nauthname = b\nsecret = s\naorname = 2\nenabled = x",
			"1: [a] secret is missing; write secret = and the password that the phone is set to, or password_digest = and its digest, or certificate_name = and a name in its client certificate\n" +
				`8: [b] enabled is "x"; write yes or no`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, _, err := parse(test.text, options("example.com"))
			if err == nil {
				t.Fatal("no error")
			}
			if d != nil {
				t.Error("a directory came with the error")
			}
			want := "peers.conf:" + strings.ReplaceAll(test.want, "\n", "\npeers.conf:")
			if err.Error() != want {
				t.Errorf("got  %s\nwant %s", err, want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the secret is in the error")
			}
		})
	}
}

// With no domain configured a peer cannot belong to one.
func TestDomainWithoutDomains(t *testing.T) {
	_, _, err := parse(kitchen+"domain = example.com", options())
	const want = "peers.conf:5: [Kitchen, 1st floor] domain is example.com, which is not served here; add example.com to [registrar] domain of sipregd.conf"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAuthnameIsUniqueWithinADomain(t *testing.T) {
	served := options("example.com", "sales.example.com")
	tests := []struct {
		name, second string
		options      Options
		fine         bool
	}{
		{"same domain", "aorname = 2", served, false},
		{"other domain", "aorname = 2\ndomain = sales.example.com", served, true},
		{"other domain, but an aorname in the first", "aorname = 2@example.com\ndomain = sales.example.com", served, false},
		{"aorname in another domain does not take it out of its own", "aorname = 2@sales.example.com", served, false},
		{"one domain for all hosts", "aorname = 2@sales.example.com", options(), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := parse("[a]\nauthname = x\nsecret = s\naorname = 1\n[b]\nauthname = x\nsecret = t\n"+test.second, test.options)
			if (err == nil) != test.fine {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	const names = "[a]\nauthname = x\naorname = 1\n"
	both := options("example.com", "sales.example.com")
	both.Algorithms = []digest.Algorithm{digest.MD5, digest.SHA256}
	md5Digest := "MD5:" + strings.Repeat("0", 32)
	tests := []struct {
		name, text string
		options    Options
		want       string
	}{
		{"no peers", "; nobody\n", options(), "there are no peers: nobody can register; write some into the files that [peers] file of sipregd.conf names"},
		{"comment behind the secret", names + "secret = hunter2 ; the old one", options(),
			"peers.conf:4: [a] the ; or # and what follows it is part of the secret; put comments on lines of their own"},
		{"comment behind the authname", "[a]\nauthname = x # y\nsecret = s\naorname = 1", options(),
			"peers.conf:2: [a] the ; or # and what follows it is part of the authname; put comments on lines of their own"},
		{"certificate_name without client_ca", names + "certificate_name = gw1.example.com", options(),
			"peers.conf:4: [a] certificate_name is of no use: no phone is asked for a certificate; write client_ca below [listen] of sipregd.conf, or take the line out"},
		{"bits of the host in permit", names + "secret = s\npermit = 192.0.2.7/24", options(),
			"peers.conf:5: [a] permit holds 192.0.2.7/24, which is taken for 192.0.2.0/24; write it so"},
		{"digest for one of two algorithms", names + "password_digest = " + md5Digest, both,
			"peers.conf:4: [a] password_digest has no digest for SHA-256, which is offered: a phone that picks it is refused; write one too, behind a comma"},
		{"digest for one of two realms", "[a]\nauthname = x\naorname = 1, 1@sales.example.com\nalgorithm = MD5\npassword_digest = " + md5Digest, both,
			"peers.conf:5: [a] password_digest is good for one realm, and this peer belongs to 2; write secret, or give all domains one realm in sipregd.conf"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, warnings, err := parse(test.text, test.options)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(warnings, []string{test.want}) {
				t.Errorf("got %q, want %q", warnings, test.want)
			}
		})
	}
}

func TestSecretReadsBackAsWritten(t *testing.T) {
	special := []rune(";#%()`\"'\\[]= \t|")
	text := rapid.Map(
		rapid.StringOf(rapid.RuneFrom(special, unicode.L, unicode.N, unicode.P, unicode.S)),
		func(s string) string { return strings.Trim(s, " \t") }).
		Filter(func(s string) bool { return s != "" })
	rapid.Check(t, func(t *rapid.T) {
		secret, authname := text.Draw(t, "secret"), text.Draw(t, "authname")
		d, _, err := parse("[a.b]\nsecret = "+secret+"\naorname = 1\nauthname = "+authname+"\n[a]\nauthname=\""+authname+
			"\"\nsecret="+secret+"\naorname=2", options())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{authname, `"` + authname + `"`} {
			p := d.ByAuthname("", name)
			if p == nil {
				t.Fatalf("no peer with the authname %q", name)
			}
			if a1, _ := p.A1("sipregd"); a1 != digest.NewA1(name, "sipregd", secret) {
				t.Fatalf("the A1 of %q is not that of the secret %q", name, secret)
			}
		}
	})
}

// A secret in an error, a warning or a peer's text would be in the log too.
func TestNothingShowsASecret(t *testing.T) {
	p := onePeer(t, kitchen, options())
	a1, _ := p.A1("sipregd")
	for _, text := range []string{fmt.Sprint(p), fmt.Sprintf("%+v", p), fmt.Sprintf("%v", *p), fmt.Sprint([]*Peer{p})} {
		if strings.Contains(text, "any;text") || strings.Contains(text, fmt.Sprintf("%v", a1)) || !strings.Contains(text, "Kitchen") {
			t.Error(text)
		}
	}
}

func TestLoadFiles(t *testing.T) {
	peer := func(n int) string {
		return fmt.Sprintf("[Peer %d]\nauthname = a%d\nsecret = s\naorname = %d\n", n, n, n)
	}
	t.Chdir(t.TempDir())
	write(t, "peers.conf", peer(1), 0o600)
	write(t, "open.conf", peer(2), 0o644)
	write(t, "broken.conf", "[Peer 3]\nauthname = a3\nsecret = s\n", 0o600)
	write(t, "label.conf", "[Peer 1]\nauthname = x\nsecret = s\naorname = 9\n", 0o600)
	write(t, "authname.conf", "[Peer 9]\nauthname = a1\nsecret = s\naorname = 9\n", 0o600)
	write(t, "syntax.conf", "[Peer 4", 0o600)
	write(t, "d/20.conf", peer(20), 0o600)
	write(t, "d/10.conf", peer(10), 0o600)
	write(t, "d/.hidden.conf", "nonsense", 0o600)
	tests := []struct {
		name     string
		patterns []string
		labels   []string
		warning  string
		err      string
	}{
		{"one", []string{"peers.conf"}, []string{"Peer 1"}, "", ""},
		{"several, in order", []string{"d/20.conf", "peers.conf"}, []string{"Peer 20", "Peer 1"}, "", ""},
		{"glob, sorted, without hidden files", []string{"d/*.conf"}, []string{"Peer 10", "Peer 20"}, "", ""},
		{"file named twice", []string{"d/10.conf", "./d/10.conf", "d/*.conf"}, []string{"Peer 10", "Peer 20"}, "", ""},
		{"glob of nothing", []string{"peers.conf", "e/*.conf"}, []string{"Peer 1"}, "e/*.conf: no file is named so; write one, or mend [peers] file of sipregd.conf", ""},
		{"readable by all", []string{"open.conf"}, []string{"Peer 2"}, "open.conf: every account on this machine can read the secrets in it; take that away with chmod o-r", ""},
		{"missing", []string{"no.conf"}, nil, "", "no.conf: no such file or directory; write a file with peers there, or name another one as [peers] file of sipregd.conf"},
		{"a directory", []string{"d"}, nil, "", "d: is a directory; write a file with peers there, or name another one as [peers] file of sipregd.conf"},
		{"malformed pattern", []string{"[a.conf"}, nil, "", "[a.conf: malformed pattern; mend [peers] file of sipregd.conf"},
		{"faults of all files", []string{"broken.conf", "syntax.conf", "no.conf"}, nil, "",
			"broken.conf:1: [Peer 3] aorname is missing; " + adviceAORName + "\n" +
				"syntax.conf:1: the section header does not end in ]; write [name], and a blank before a comment behind it\n" +
				"no.conf: no such file or directory; write a file with peers there, or name another one as [peers] file of sipregd.conf"},
		{"label in two files", []string{"peers.conf", "label.conf"}, nil, "", "label.conf:1: [Peer 1] the label stands at peers.conf:1 already; give each peer its own"},
		{"authname in two files", []string{"peers.conf", "authname.conf"}, nil, "", `authname.conf:2: [Peer 9] authname "a1" is that of [Peer 1] at peers.conf:1 already; give each peer its own`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, warnings, err := Load(test.patterns, options())
			if got := strings.Join(warnings, "\n"); got != test.warning {
				t.Errorf("warnings: got %q, want %q", got, test.warning)
			}
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("got  %v\nwant %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var labels []string
			for p := range d.All() {
				labels = append(labels, p.Label)
			}
			if !reflect.DeepEqual(labels, test.labels) || d.Len() != len(labels) {
				t.Errorf("got %q, want %q", labels, test.labels)
			}
		})
	}
	if _, _, err := Load([]string{"no.conf"}, options()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

func write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

func TestSampleLoads(t *testing.T) {
	const sample = "../../configs/peers.conf"
	d, warnings, err := Load([]string{sample}, options())
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range warnings {
		if !strings.Contains(warning, "every account on this machine") { // as git checks it out
			t.Error(warning)
		}
	}
	p := d.ByAuthname("", "7f3a9c")
	if p == nil || p.Label != "Kitchen, 1st floor" || !d.MayBind(p, sipuri.AOR{User: "2001"}) || !p.Permits(netip.MustParseAddr("127.0.0.1")) {
		t.Fatalf("the sample has no [Kitchen, 1st floor] that can register 2001 from here: %v", p)
	}
	if a1, _ := p.A1("sipregd"); a1 != digest.NewA1("7f3a9c", "sipregd", "any;text#at all") {
		t.Error("its secret is another one")
	}
	for p := range d.All() {
		for _, aor := range p.AORs {
			if p.Label == p.Authname || p.Label == aor.User || p.Authname == aor.User {
				t.Errorf("%v does not show three names", p)
			}
		}
	}
}

// What the sample shows in comments has to be right as well.
func TestSampleLoadsWithoutItsComments(t *testing.T) {
	data, err := os.ReadFile("../../configs/peers.conf")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	for i, line := range lines {
		if rest, commented := strings.CutPrefix(line, ";"); commented && rest != "" && rest[0] != ' ' {
			lines[i] = rest
		}
	}
	o := options("example.com", "sales.example.com")
	o.Algorithms = []digest.Algorithm{digest.MD5, digest.SHA256}
	d, _, err := parse(strings.Join(lines, "\n"), o)
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.Join(lines, "\n")
	for _, k := range keys {
		if !k.foreign && !strings.Contains(shown, "\n"+k.name+" = ") {
			t.Errorf("the sample does not show %s", k.name)
		}
	}
	if d.Len() != 5 {
		t.Errorf("%d peers", d.Len())
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		kitchen,
		"max_contacts = 5\n\n" + kitchen + "[Front desk]\nauthname = frontdesk\npassword_digest = MD5:0123456789abcdef0123456789abcdef\n" +
			"aorname = 2001, 2002@sales.example.com\npermit = 192.0.2.0/24, ::1\ndomain = example.com\n",
		"[a]b];c] ; d\nauthname=\"\"\"\nsecret=`\\\naorname=*,%2A\n",
		"\ufeff[a]\r\nusername = x\r\nhost = dynamic\r\n",
		"[a.b]\nsecret = %(x)s\n[DEFAULT]\n- = 1\n- = 2\n",
		"[a\n=\n]\n\x00\xff",
		"[a]\nauthname = b\nsecret = c\naorname = @,sip:x\nminimum_expiration = 9\nmaximum_expiration = 8\nenabled = no\n",
		"[a]\nauthname = a\naorname = 1\ncertificate_name = b, \"CN=\\\"c\\\",O=d\" , sip:e\n",
	} {
		f.Add([]byte(seed), "example.com")
		f.Add([]byte(seed), "")
	}
	f.Fuzz(func(t *testing.T, data []byte, domain string) {
		o := options()
		if sipuri.IsHost(domain) {
			o = options(domain)
		}
		d, _, err := parse(string(data), o)
		if (d == nil) == (err == nil) {
			t.Fatalf("directory %v and error %v", d, err)
		}
		if d == nil {
			return
		}
		for p := range d.All() {
			a1, known := p.A1(o.Domains.Realm(p.Domain))
			if p.Label == "" || p.Authname == "" || len(p.AORs) == 0 && !p.AnyAOR || !known || a1 == (digest.A1{}) && len(p.CertificateNames) == 0 {
				t.Fatalf("%#v lacks one of its names", p)
			}
			if d.ByAuthname(p.Domain, p.Authname) != p {
				t.Fatalf("%v is not found by its authname", p)
			}
			for _, name := range p.CertificateNames {
				if d.ByCertificate(p.Domain, []string{name}, sipuri.AOR{}) == nil {
					t.Fatalf("%v is not found as %q", p, name)
				}
			}
			for _, aor := range p.AORs {
				if !d.MayBind(p, aor) || d.WhatEnds(d, p.Domain, p.Authname, aor) != "" && p.Enabled {
					t.Fatalf("%v may not bind %v", p, aor)
				}
			}
		}
		if difference := Compare(d, d); difference.String() != "0 added, 0 removed, 0 changed" {
			t.Fatal(difference)
		}
	})
}

func BenchmarkLoad100000Peers(b *testing.B) {
	var text strings.Builder
	for i := range 100000 {
		fmt.Fprintf(&text, "[Phone %d]\nauthname = auth%d\nsecret = secret number %d\naorname = %d\n\n", i, i, i, i)
	}
	path := filepath.Join(b.TempDir(), "peers.conf")
	write(b, path, text.String(), 0o600)
	for b.Loop() {
		d, _, err := Load([]string{path}, options())
		if err != nil || d.Len() != 100000 {
			b.Fatal(err)
		}
	}
}
