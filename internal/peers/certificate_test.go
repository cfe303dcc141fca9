package peers

import (
	"reflect"
	"testing"

	"sipregd/internal/digest"
	"sipregd/internal/sipuri"
)

// certified are the options where phones are asked for a certificate.
func certified(domains ...string) Options {
	o := options(domains...)
	o.ClientCertificates = true
	return o
}

func TestCertificateNames(t *testing.T) {
	tests := []struct {
		name, value string
		want        []string
	}{
		{"one", "gw1.example.com", []string{"gw1.example.com"}},
		{"in any case, once", "GW1.Example.com, gw1.example.com", []string{"gw1.example.com"}},
		{"a few, and a comment", "gw1 ,sip:gw1@example.com;x=y,  a@example.com ; three", []string{"gw1", "sip:gw1@example.com;x=y", "a@example.com"}},
		{"subject in quotes", `"CN=GW 1,O=Example"`, []string{"cn=gw 1,o=example"}},
		{"subject among others", `a, "CN=b,O=c" , d`, []string{"a", "cn=b,o=c", "d"}},
		{"subject with quotes", `"CN=\"b\",O=c","d"`, []string{`cn=\"b\",o=c`, "d"}},
		{"letters that are not ASCII stay", "ÄB", []string{"Äb"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := onePeer(t, "[a]\nauthname = a\naorname = 1\ncertificate_name = "+test.value, certified())
			if !reflect.DeepEqual(p.CertificateNames, test.want) {
				t.Errorf("got %q, want %q", p.CertificateNames, test.want)
			}
		})
	}
}

// A peer with a certificate alone belongs to its realms, and has nothing that a digest
// proves there.
func TestWithoutASecretThereIsNoProof(t *testing.T) {
	d := mustParse(t, "[a]\nauthname = a\naorname = 1, 1@sales.example.com\ncertificate_name = gw\n"+
		"[b]\nauthname = b\naorname = 2\ncertificate_name = gw\nsecret = s\n", certified("example.com", "sales.example.com"))
	a, b := d.ByAuthname("example.com", "a"), d.ByAuthname("example.com", "b")
	for _, realm := range []string{"example.com", "sales.example.com"} {
		if a1, known := a.A1(realm); !known || a1 != (digest.A1{}) {
			t.Errorf("%s: %v, %v", realm, a1, known)
		}
	}
	if p, a1 := d.ByUsername("example.com", "example.com", "a@example.com"); a1 != (digest.A1{}) {
		t.Errorf("a longer name of %v proves something", p)
	}
	if a.HasSecret() || !b.HasSecret() {
		t.Error("it is not told who has a secret")
	}
}

func TestByCertificate(t *testing.T) {
	d := mustParse(t, `
[first]
authname = 1
aorname = 2001
certificate_name = gw1.example.com, shared
[second]
authname = 2
aorname = 2002, 2002@sales.example.com
certificate_name = "CN=gw2,O=Example", shared
enabled = no
[third]
authname = 3
aorname = 2002, 2003
certificate_name = shared
[any]
authname = 4
aorname = *
certificate_name = shared
`, certified("example.com", "sales.example.com"))
	const here, sales = "example.com", "sales.example.com"
	tests := []struct {
		name, domain string
		names        []string
		aor, want    string // label; empty: nobody
	}{
		{"its own", here, []string{"gw1.example.com"}, "2001", "first"},
		{"by another AOR", here, []string{"gw1.example.com"}, "2009", "first"},
		{"by a subject", here, []string{"x", "cn=gw2,o=example"}, "2001", "second"},
		{"in another domain", sales, []string{"gw1.example.com"}, "2001", ""},
		{"in a domain of an aorname", sales, []string{"cn=gw2,o=example"}, "2002", "second"},
		{"nobody's", here, []string{"gw9.example.com"}, "2001", ""},
		{"of no name", here, nil, "2001", ""},
		{"the first of several that may bind, a disabled one", here, []string{"shared"}, "2002", "second"},
		{"a later one that may bind", here, []string{"shared"}, "2003", "third"},
		{"one that may bind what nobody names", here, []string{"shared"}, "2009", "any"},
		{"by two names the first that may bind", here, []string{"shared", "gw1.example.com"}, "2001", "first"},
		{"the first of several where none may bind", sales, []string{"shared"}, "2009", "second"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if p := d.ByCertificate(test.domain, test.names, sipuri.AOR{User: test.aor, Domain: test.domain}); p != nil {
				got = p.Label
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if none := mustParse(t, kitchen, options()); none.byCertificate != nil || none.ByCertificate("", []string{"gw1"}, sipuri.AOR{}) != nil {
		t.Error("without names there is an index of them")
	}
}

func TestWhatEndsWithACertificate(t *testing.T) {
	peer := func(lines string) string { return "[a]\nauthname = a\naorname = 2001\n" + lines }
	tests := []struct {
		name, old, next string
		want            string
	}{
		{"the same", "certificate_name = x, y", "certificate_name = Y, X", ""},
		{"one more", "certificate_name = x", "certificate_name = x, y", ""},
		{"one lost", "certificate_name = x, y", "certificate_name = x", PeerRekeyed},
		{"changed", "certificate_name = x", "certificate_name = y", PeerRekeyed},
		{"a secret instead", "certificate_name = x", "secret = s", PeerRekeyed},
		{"a secret beside it", "certificate_name = x", "certificate_name = x\nsecret = s", ""},
		{"instead of a secret", "secret = s", "certificate_name = x", PeerRekeyed},
		{"beside a secret", "secret = s", "secret = s\ncertificate_name = x", ""},
		{"lost, and the secret stays", "secret = s\ncertificate_name = x", "secret = s", ""},
		{"stays, and the secret is another one", "secret = s\ncertificate_name = x", "secret = t\ncertificate_name = x", PeerRekeyed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			old, next := mustParse(t, peer(test.old), certified()), mustParse(t, peer(test.next), certified())
			if got := next.WhatEnds(old, "", "a", sipuri.AOR{User: "2001"}); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if got := Compare(mustParse(t, peer("certificate_name = x"), certified()), mustParse(t, peer("certificate_name = y"), certified())); got.Changed == nil {
		t.Error("another name is no change")
	}
}
