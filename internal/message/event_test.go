package message

import (
	"net/netip"
	"strings"
	"testing"
)

// What is read of a SUBSCRIBE alone (RFC 6665 §8.2.1, RFC 3261 §20.1, §20.30).
func TestSubscribe(t *testing.T) {
	for _, test := range []struct {
		name   string
		lines  string
		want   Event
		routes string
		takes  bool // application/reginfo+xml
		fails  string
	}{
		{"an event", "Event: reg", Event{"reg", ""}, "", true, ""},
		{"with an id", "event : reg ; x=y; ID=a7", Event{"reg", "a7"}, "", true, ""},
		{"the short name", "o: reg.winfo", Event{"reg.winfo", ""}, "", true, ""},
		{"none", "X: y", Event{}, "", true, ""},
		{"none in it", "Event:", Event{}, "", true, "Malformed Event"},
		{"twice", "Event: reg\r\nEvent: reg", Event{}, "", true, "Event Given Twice"},
		{"two ids", "Event: reg;id=a;id=b", Event{}, "", true, "Malformed Event"},
		{"text behind it", "Event: reg presence", Event{}, "", true, "Malformed Event"},
		{"another form", "Accept: application/pidf+xml", Event{}, "", false, ""},
		{"two header fields", "Accept: text/plain\r\nAccept: Application / Reginfo+XML ;q=1", Event{}, "", true, ""},
		{"all of a kind", "Accept: application/*", Event{}, "", true, ""},
		{"routes", "Record-Route: <sip:a;lr>, <sip:b;lr>\r\nRecord-Route: <sip:c;lr>", Event{}, "<sip:a;lr>, <sip:b;lr>, <sip:c;lr>", true, ""},
		{"an unclosed route", "Record-Route: <sip:a;lr", Event{}, "", true, "Malformed Record-Route"},
		{"too many routes", "Record-Route: <sip:" + strings.Repeat("a", 600) + "@h>\r\nRecord-Route: <sip:" + strings.Repeat("b", 600) + "@h>", Event{}, "", true,
			"Record-Route Over 1024 Bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			const head = "Via: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 "
			r, err := NewParser().Parse([]byte("SUBSCRIBE sip:a@b SIP/2.0\r\n"+head+"SUBSCRIBE\r\n"+test.lines+"\r\n\r\n"), testFlow)
			if test.fails != "" {
				if err == nil || err.Error() != test.fails {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || r.Event != test.want || r.RecordRoute != test.routes || r.Accepts("application/reginfo+xml") != test.takes {
				t.Errorf("got %+v, %q, %v", r.Event, r.RecordRoute, err)
			}
			if first, found := FirstRoute(test.routes); found != (test.routes != "") || found && first.Host != "a" {
				t.Errorf("first route %+v", first)
			}
			r, err = NewParser().Parse([]byte("REGISTER sip:b SIP/2.0\r\n"+head+"REGISTER\r\n"+test.lines+"\r\n\r\n"), testFlow)
			if err != nil || r.Event != (Event{}) || r.RecordRoute != "" {
				t.Errorf("of a REGISTER is read %+v, %v", r, err)
			}
		})
	}
}

func TestNotifyRefuses(t *testing.T) {
	sound := Notify{Target: "sip:w@203.0.113.9", From: "sip:a@b", Tag: "t", To: "sip:a@b", ToTag: "f", CallID: "c", CSeq: 1, Event: Event{"reg", ""},
		State: "active;expires=1", Branch: "b", Flow: Flow{Transport: "UDP", Local: netip.MustParseAddrPort("192.0.2.1:5060")}}
	if _, err := sound.Append(nil); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		alter func(n *Notify)
	}{
		{"no URI", func(n *Notify) { n.Target = "w" }},
		{"another scheme", func(n *Notify) { n.Target = "tel:+15550100" }},
		{"a line end in the target", func(n *Notify) { n.Target += "\r\nX: y" }},
		{"a bracket in From", func(n *Notify) { n.From += ">" }},
		{"a line end in To", func(n *Notify) { n.To += "\r\n" }},
		{"a line end in a tag", func(n *Notify) { n.ToTag += "\r\nX: y" }},
		{"a line end in Call-ID", func(n *Notify) { n.CallID += "\n" }},
		{"a line end in the route", func(n *Notify) { n.Route = "<sip:p;lr>\r\nX: y" }},
		{"a parameter in the event's id", func(n *Notify) { n.Event.ID = "a;b" }},
	} {
		n := sound
		test.alter(&n)
		if text, err := n.Append(nil); err != ErrNoRequestURI {
			t.Errorf("%s: got %q, %v", test.name, text, err)
		}
	}
}
