package journal

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"sipregd/internal/sipuri"
)

// hostile is text that tries to break out of its field.
const hostile = "x\"\n{\"event\":\"added\"}\r\n\x1b[31m\x00\x7f\u009b\u2028\u202e\xff event=added"

func hostileEvent() Event {
	return Event{
		Kind: Refused, Reason: WrongSecret, Source: netip.MustParseAddrPort("192.0.2.7:5060"),
		Transport: "UDP", Authname: hostile, Label: hostile, AOR: sipuri.AOR{User: hostile, Domain: hostile},
		Contact: hostile, UserAgent: hostile, CallID: hostile, Status: 401, Detail: hostile,
	}
}

func TestNothingForgesALineOfJSON(t *testing.T) {
	var out bytes.Buffer
	NewLog(zerolog.New(&out)).Record(hostileEvent())
	if strings.Count(out.String(), "\n") != 1 || !json.Valid(out.Bytes()) || strings.ContainsAny(out.String(), "\u009b\u202e") {
		t.Errorf("logged %q", out.String())
	}
	if !strings.HasPrefix(out.String(), `{"level":"warn","event":"refused","src_ip":"192.0.2.7","src_port":5060,`) {
		t.Errorf("the fields that nobody forges do not stand first: %q", out.String())
	}
}

func TestNothingForgesALineOfText(t *testing.T) {
	var out bytes.Buffer
	console := zerolog.ConsoleWriter{Out: &out, NoColor: true, FieldsOrder: []string{"event", "src_ip"}}
	NewLog(zerolog.New(console)).Record(hostileEvent())
	text := out.String()
	if strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\r\x1b\x00\x7f") {
		t.Errorf("logged %q", text)
	}
	if first := strings.Index(text, "event="); !strings.HasPrefix(text[first:], "event=refused src_ip=192.0.2.7 ") {
		t.Errorf("logged %q", text)
	}
}

func TestLevels(t *testing.T) {
	for _, test := range []struct {
		event Event
		want  string
	}{
		{Event{Kind: Added}, "info"},
		{Event{Kind: Removed}, "info"},
		{Event{Kind: Replaced}, "info"},
		{Event{Kind: Expired}, "info"},
		{Event{Kind: Refreshed}, "debug"},
		{Event{Kind: Challenged}, "debug"},
		{Event{Kind: Refused, Reason: StaleNonce}, "debug"},
		{Event{Kind: Refused, Reason: UnknownAuthname}, "warn"},
	} {
		var out bytes.Buffer
		NewLog(zerolog.New(&out)).Record(test.event)
		if !strings.Contains(out.String(), `"level":"`+test.want+`"`) {
			t.Errorf("%+v is logged as %s", test.event, out.String())
		}
	}
}

func TestLongTextIsCut(t *testing.T) {
	var out bytes.Buffer
	NewLog(zerolog.New(&out)).Record(Event{Kind: Refused, UserAgent: strings.Repeat("é", 4000)})
	if out.Len() > 1000 || !json.Valid(out.Bytes()) {
		t.Errorf("%d bytes logged", out.Len())
	}
}
