package main

import (
	"bytes"
	"testing"
	"time"

	"sipregd/internal/admin/api"
)

var (
	wrongSecret = api.Attempt{
		Event: api.Event{Time: noon.Add(-12 * time.Second), Event: "refused", Reason: "wrong_secret", Status: 403,
			SourceIP: "192.0.2.7", Port: 5060, Transport: "UDP", AOR: "2001", Authname: "7f3a9c", UserAgent: "Grandstream GXP2170"},
		Failed: true, Times: 3, Where: "peers.conf:1",
		Cause: "The phone proves itself as \"7f3a9c\" with another secret than [Kitchen, 1st floor] has.",
		Cure:  "Type the password anew into the phone, or correct the secret of the peer in peers.conf and reload.",
	}
	registered = api.Attempt{
		Event: api.Event{Time: noon.Add(-2 * time.Minute), Event: "refreshed", Expires: 3600,
			SourceIP: "2001:db8::7", Port: 5060, Transport: "TCP", AOR: "2001", Authname: "7f3a9c", Label: "Kitchen, 1st floor"},
		Times: 1, Cause: "Registered: 2001 is bound to sip:2001@192.0.2.7 for 3600 seconds.", Where: "peers.conf:1",
	}
	unanswered = api.Attempt{
		Event:  api.Event{Time: noon.Add(-time.Hour), Event: "challenged", Status: 401, SourceIP: "192.0.2.9", Port: 1024, Transport: "UDP", AOR: "2009"},
		Failed: true, Times: 1, Cause: "The challenge was never answered.",
	}
	longAgo = api.Attempt{
		Event: api.Event{Time: noon.Add(-2 * time.Hour), Event: "removed", Reason: "by_administrator", AOR: "2001", Label: "\x1b[31mred"},
		Times: 1,
	}
)

func TestWhyIsTold(t *testing.T) {
	tests := []struct {
		name  string
		width int
		why   api.Why
		want  string
	}{
		{"a failure on a terminal", 60, api.Why{Attempts: []api.Attempt{wrongSecret}}, `
12 s ago: FAILED: refused, wrong_secret (403), 3 times in a
row
  AOR 2001, authname 7f3a9c, label (none)
  from 192.0.2.7:5060 over UDP by Grandstream GXP2170
  Cause: The phone proves itself as "7f3a9c" with another
         secret than [Kitchen, 1st floor] has.
  Cure:  Type the password anew into the phone, or correct
         the secret of the peer in peers.conf and reload.
  See    peers.conf:1
`},
		{"success, silence and hostile text", 0, api.Why{Attempts: []api.Attempt{registered, unanswered, longAgo}}, `
2 min ago: registered, for 1 h
  AOR 2001, authname 7f3a9c, label Kitchen, 1st floor
  from [2001:db8::7]:5060 over TCP
  Registered: 2001 is bound to sip:2001@192.0.2.7 for 3600 seconds.
  See    peers.conf:1

1 h ago: FAILED: challenged, and no answer came (401)
  AOR 2009, authname (none), label (none)
  from 192.0.2.9:1024 over UDP
  Cause: The challenge was never answered.

2 h ago: removed, by_administrator
  AOR 2001, authname (none), label \x1b[31mred
`},
		{"registered, and silent", 0, api.Why{Query: "2001", Registered: []api.Contact{
			{AOR: "2001", Contact: "sip:2001@192.0.2.7", Label: "Kitchen", Authname: "7f3a9c", ExpiresIn: 60, Reachable: "no"},
			{AOR: "2001", Contact: "sip:2001@192.0.2.8", Label: "Kitchen", Authname: "7f3a9c", ExpiresIn: 60, Reachable: "yes"}}}, `
REGISTERED: 2001 at sip:2001@192.0.2.7 by [Kitchen] (authname 7f3a9c), expires in 1 min, BUT DOES NOT ANSWER
REGISTERED: 2001 at sip:2001@192.0.2.8 by [Kitchen] (authname 7f3a9c), expires in 1 min
`},
		{"nothing known", 0, api.Why{Query: "2009", Note: "Nothing has come with that name."}, `
Nothing has come with that name.
`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			printWhy(&out, test.width, test.why, noon)
			if got := "\n" + out.String(); got != test.want {
				t.Errorf("got%s\nwant%s", got, test.want)
			}
		})
	}
}

func TestWhetherItIsWell(t *testing.T) {
	bound := []api.Contact{{AOR: "2001"}}
	tests := []struct {
		name string
		why  api.Why
		want bool
	}{
		{"registered after a failure", api.Why{Query: "2001", Registered: bound, Attempts: []api.Attempt{registered, wrongSecret}}, true},
		{"a stranger failed since", api.Why{Query: "2001", Registered: bound, Attempts: []api.Attempt{wrongSecret, registered}}, true},
		{"registered and gone", api.Why{Query: "2001", Attempts: []api.Attempt{registered}}, false},
		{"registered before all that is remembered", api.Why{Query: "2001", Registered: bound}, true},
		{"nothing known of it", api.Why{Query: "2001"}, false},
		{"no failure of anybody", api.Why{}, true},
		{"a failure of somebody", api.Why{Attempts: []api.Attempt{wrongSecret}}, false},
	}
	for _, test := range tests {
		if got := isWell(test.why); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
