package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestPeersReadBackAsWritten(t *testing.T) {
	var file bytes.Buffer
	want := peersOfSipregd(20)
	if err := writePeers(&file, want); err != nil {
		t.Fatal(err)
	}
	got, err := readPeers(&file)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}

func TestScatteredPeersAreAllThere(t *testing.T) {
	const count = 1000
	met := map[names]bool{}
	for _, n := range scattered(count) {
		met[n] = true
	}
	for _, n := range peersOfSipregd(count) {
		if !met[n] {
			t.Fatalf("%v is missing", n)
		}
	}
}

func TestSharedPeersAreOneSection(t *testing.T) {
	var file bytes.Buffer
	if err := writePeers(&file, shared(peersOfSipregd(5), 2)); err != nil {
		t.Fatal(err)
	}
	const want = "\n[label 0]\nauthname = a0\nsecret = s0\naorname = 10, 11" +
		"\n[label 2]\nauthname = a2\nsecret = s2\naorname = 12, 13" +
		"\n[label 4]\nauthname = a4\nsecret = s4\naorname = 14\n"
	if file.String() != want {
		t.Errorf("%q, want %q", file.String(), want)
	}
}

func TestPeersAreRefused(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"key before a section", "secret = s", `1: "secret = s"`},
		{"unknown key", "[a]\n; why\n\nport = 5060", `4: "port = 5060"`},
		{"no secret", "[a]\nauthname = a\naorname = 1", "section 1 lacks"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := readPeers(strings.NewReader(test.text))
			expect(t, err, test.want)
		})
	}
}
