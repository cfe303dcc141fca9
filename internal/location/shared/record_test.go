package shared

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipregd/internal/location"
)

// What is written is what encoding/json writes of a record, without escapes that are not
// needed, and reads as the same binding.
func TestEncode(t *testing.T) {
	at := time.UnixMilli(1732644616123).UTC()
	for name, b := range map[string]location.Binding{
		"least": {Contact: "sip:a@192.0.2.7"},
		"all": {
			Contact: "sip:a@192.0.2.7", Params: `;+sip.instance="<urn:uuid:0>"`, Q: "0.5", CallID: "c", CSeq: 1<<32 - 1, Domain: "d",
			Authname: "a", Label: "Küche <1. Stock> & Flur", UserAgent: "x", Transport: "WSS", Source: netip.MustParseAddrPort("192.0.2.7:5060"),
			Local: netip.MustParseAddrPort("[2001:db8::1]:5060"), Stream: 1<<64 - 1, Path: "<sip:p;lr>", NAT: true, Node: "one",
		},
		"zones":   {Contact: "sip:a@h", Source: netip.MustParseAddrPort(`[fe80::1%a"ß]:5060`), Local: netip.MustParseAddrPort(`[fe80::1%ß]:1`)},
		"escapes": {Contact: "sip:a@h", Label: "\x00\t\"\\\x7f\u2028"},
	} {
		t.Run(name, func(t *testing.T) {
			b.ID, b.Expires, b.Changed = 17, at, at
			text := encode(&b, at)
			got, err := decode("17", "1732644616123 "+text)
			if err != nil || got != b {
				t.Errorf("%s is read as %+v, %v", text, got, err)
			}
			want, _ := json.Marshal(&record{
				b.Contact, b.Params, b.Q, b.CallID, b.CSeq, at.UnixMilli(), b.Domain, b.Authname, b.Label,
				b.UserAgent, b.Transport, b.Source, b.Local, b.Stream, b.Path, b.NAT, b.Node, false,
			})
			if got, want := normal(t, text), normal(t, string(want)); got != want {
				t.Errorf("%s\nis not\n%s", got, want)
			}
		})
	}
}

// normal returns an object as encoding/json writes it.
func normal(t *testing.T, text string) string {
	var members map[string]any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&members); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	again, _ := json.Marshal(members)
	return string(again)
}

// Texts of phones that are no UTF-8 read as they were sent, and for others as Latin-1.
func TestEncodeLatin1(t *testing.T) {
	b := location.Binding{
		ID: 17, Contact: "sip:a@h", UserAgent: "T\xe9l\xe9phone", Label: "Küche", Expires: time.UnixMilli(1).UTC(), Changed: time.UnixMilli(2).UTC(),
		Source: netip.MustParseAddrPort("[fe80::1%ß]:5060"),
	}
	text := encode(&b, b.Changed)
	if !strings.Contains(text, `"user_agent":"Téléphone"`) {
		t.Error(text)
	}
	if got, err := decode("17", "1 "+text); err != nil || got != b {
		t.Errorf("%s is read as %+v, %v", text, got, err)
	}
	if b, err := decode("17", `1 {"contact":"sip:a@h","label":"Ā","latin1":true}`); err == nil {
		t.Errorf("a character of two bytes is read as %+v", b)
	}
}
