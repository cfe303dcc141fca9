package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// What is imported is what a phone of the fleet would have bound, so that it
// refreshes and queries that very binding.
func TestImportedBindingsAreThoseOfThePhones(t *testing.T) {
	const from, number = 2, 3
	peers, now := scattered(20), time.Date(2026, 11, 23, 12, 0, 0, 500, time.UTC)
	var lines bytes.Buffer
	if err := writeBindings(&lines, peers[from:], from, "load.invalid", now); err != nil {
		t.Fatal(err)
	}
	all := strings.Split(strings.TrimSuffix(lines.String(), "\n"), "\n")
	if len(all) != len(peers)-from {
		t.Fatalf("%d lines, want %d", len(all), len(peers)-from)
	}
	p := phone{names: peers[number], number: number, wire: &wire{transport: "UDP", local: phoneAddress, host: "load.invalid"}}
	p.begin(now, now)
	request := p.request()
	var got map[string]any
	if err := json.Unmarshal([]byte(all[number-from]), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"aorname": p.aor, "domain": "", "contact": strings.Trim(header(request, "Contact"), "<>"), "params": "", "q": "",
		"call_id": header(request, "Call-ID"), "cseq": 1.0,
		"changed": "2026-11-23T12:00:00.0000005Z", "expires": "2026-11-23T14:00:00.0000005Z",
		"served_domain": "", "authname": p.authname, "label": p.label, "user_agent": header(request, "User-Agent"),
		"transport": "UDP", "source": "127.0.0.1:5060",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

// A binding of the bench is as large as those of real phones.
func TestImportedBindingsAreOfRealisticSize(t *testing.T) {
	p := phone{names: peersOfSipregd(1_000_000)[123_456], number: 123_456}
	for _, test := range []struct {
		name, text string
		want       int
	}{
		{"Contact", contactURI(p.aor, phoneAddress), 45},
		{"Call-ID", callID(int(p.number), newHost()), 30},
		{"User-Agent", userAgent, 25},
		{"label", p.label, 12},
	} {
		if got := len(test.text); got < test.want-5 || got > test.want+5 {
			t.Errorf("%s: %q has %d bytes, want about %d", test.name, test.text, got, test.want)
		}
	}
}
