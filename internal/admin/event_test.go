package admin

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"sipregd/internal/admin/api"
	"sipregd/internal/journal"
	"sipregd/internal/sipuri"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func TestEventOf(t *testing.T) {
	for _, test := range []struct {
		name  string
		event journal.Event
		want  string
	}{
		{"whole", journal.Event{
			Seq: 1 << 52, Time: noon, Kind: journal.Refused, Reason: journal.WrongSecret,
			Source: netip.MustParseAddrPort("[2001:db8::7]:5060"), Transport: "TCP", Authname: "7f3a9c", Label: "Kitchen, 1st floor",
			AOR: sipuri.AOR{User: "2001", Domain: "example.com"}, Contact: "sip:2001@192.0.2.7", Expires: 3600,
			UserAgent: "phone", CallID: "call", Status: 401, Detail: "detail",
		}, `{"seq":4503599627370496,"time":"2026-11-26T12:00:00Z","event":"refused","reason":"wrong_secret",
			"src_ip":"2001:db8::7","src_port":5060,"transport":"TCP","status":401,"label":"Kitchen, 1st floor",
			"authname":"7f3a9c","aor":"2001@example.com","contact":"sip:2001@192.0.2.7","expires":3600,
			"call_id":"call","user_agent":"phone","detail":"detail"}`},
		{"with nothing that applies", journal.Event{Seq: 1, Time: noon, Kind: journal.Expired},
			`{"seq":1,"time":"2026-11-26T12:00:00Z","event":"expired"}`},
		{"of another time zone", journal.Event{Seq: 1, Time: noon.In(time.FixedZone("CET", 3600)), Kind: journal.Added},
			`{"seq":1,"time":"2026-11-26T12:00:00Z","event":"added"}`},
		{"from IPv4 in IPv6", journal.Event{Seq: 1, Time: noon, Kind: journal.Added, Source: netip.MustParseAddrPort("[::ffff:192.0.2.7]:5060")},
			`{"seq":1,"time":"2026-11-26T12:00:00Z","event":"added","src_ip":"192.0.2.7","src_port":5060}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var want api.Event
			if err := json.Unmarshal([]byte(test.want), &want); err != nil {
				t.Fatal(err)
			}
			if got := eventOf(&test.event); !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// FuzzEventOf: whatever comes from the network, it is read as it was said.
func FuzzEventOf(f *testing.F) {
	f.Add("\"},{\x00\x1b[31m\u009b\u2028</script>")
	f.Add("cut in a charact\xc3")
	f.Fuzz(func(t *testing.T, text string) {
		event := eventOf(&journal.Event{
			Time: noon, Kind: journal.Refused, Transport: text, Authname: text, Label: text,
			AOR: sipuri.AOR{User: text, Domain: text}, Contact: text, UserAgent: text, CallID: text, Detail: text,
		})
		for _, got := range []string{
			event.Transport, event.Authname, event.Label, event.Contact, event.UserAgent, event.CallID, event.Detail,
		} {
			if !utf8.ValidString(got) || utf8.ValidString(text) && got != text {
				t.Fatalf("%q became %q", text, got)
			}
		}
		said, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		var read api.Event
		if err := json.Unmarshal(said, &read); err != nil || read != event {
			t.Errorf("%+v is read as %+v: %v", event, read, err)
		}
	})
}
