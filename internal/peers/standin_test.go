package peers

import (
	"fmt"
	"testing"

	"sipregd/internal/sipuri"
)

func TestWhatStandsInForAnAOR(t *testing.T) {
	directory := mustParse(t, `
[None]
authname = none
secret = s
aorname = 2001, 2002

[Off]
authname = off
secret = s
aorname = 2001
defaulthost = 192.0.2.1
enabled = no

[One]
authname = one
secret = s
aorname = 2001
defaultname = voice%20box
defaulthost = 192.0.2.33:5070

[Two]
authname = two
secret = s
aorname = 2001, 2003
defaulthost = 192.0.2.34
`, options())
	for _, test := range []struct {
		name string
		has  bool
		want string
	}{
		{"2001", true, "voice box 192.0.2.33:5070"}, // of the first that has one and is enabled
		{"2002", true, " "},
		{"2003", true, "2003 192.0.2.34"}, // without defaultname the same one
		{"2004", false, " "},
		{"", false, " "},
	} {
		aor := sipuri.AOR{User: test.name}
		name, host := directory.StandIn(aor)
		if got := fmt.Sprint(name, " ", host); got != test.want || directory.HasAOR(aor) != test.has {
			t.Errorf("%q: %q, %v", test.name, got, directory.HasAOR(aor))
		}
	}
}

func TestWhatStandsInForAnyAOR(t *testing.T) {
	directory := mustParse(t, "[Gateway]\nauthname = g\nsecret = s\naorname = *\ndefaulthost = gw.example.com\n"+
		"[Named]\nauthname = n\nsecret = s\naorname = 2001\n[Off]\nauthname = o\nsecret = s\naorname = *\ndomain = b.example\nenabled = no\n",
		options("a.example", "b.example"))
	for _, test := range []struct {
		aor  sipuri.AOR
		has  bool
		want string
	}{
		{sipuri.AOR{User: "2999", Domain: "a.example"}, true, "2999 gw.example.com"},
		{sipuri.AOR{User: "2001", Domain: "a.example"}, true, " "},
		{sipuri.AOR{User: "2999", Domain: "b.example"}, false, " "},
		{sipuri.AOR{Domain: "a.example"}, false, " "},
	} {
		name, host := directory.StandIn(test.aor)
		if got := fmt.Sprint(name, " ", host); got != test.want || directory.HasAOR(test.aor) != test.has {
			t.Errorf("%v: %q, %v", test.aor, got, directory.HasAOR(test.aor))
		}
	}
}
