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
