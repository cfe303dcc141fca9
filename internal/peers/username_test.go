package peers

import (
	"testing"

	"sipregd/internal/digest"
)

// What phones set behind the authname is taken off, but only where nobody has the
// whole for an authname, and where it is the realm or a domain of the peer.
func TestByUsername(t *testing.T) {
	const text = "[A]\nauthname = a\nsecret = s\naorname = 1\n" +
		"[B]\nauthname = b\nsecret = s\naorname = 2\ndomain = two.example\n" +
		"[C]\nauthname = a@one.example\nsecret = c\naorname = 3\n" +
		"[D]\nauthname = d\npassword_digest = MD5:0123456789abcdef0123456789abcdef\naorname = 4\n" +
		"[E]\nauthname = e@x\nsecret = s\naorname = 5\n"
	apart := options("one.example", "two.example")
	office := options("one.example", "two.example")
	office.Domains = NewDomains([]string{"one.example", "two.example"}, "the office")
	tests := []struct {
		options                 Options
		domain, realm, username string
		label                   string // empty: of nobody
		secret                  string // of what is to be proved by that very name
	}{
		{apart, "one.example", "one.example", "a", "A", "s"},
		{apart, "one.example", "one.example", "a@one.example", "C", "c"},
		{apart, "one.example", "one.example", "a@two.example", "", ""},
		{apart, "one.example", "one.example", "a@", "", ""},
		{apart, "one.example", "one.example", "@one.example", "", ""},
		{apart, "one.example", "one.example", "b@two.example", "", ""},
		{apart, "two.example", "two.example", "b@two.example", "B", "s"},
		{apart, "two.example", "two.example", "b@TWO.example", "", ""},
		{apart, "one.example", "one.example", "d@one.example", "", ""},
		{apart, "one.example", "one.example", "e@x@one.example", "E", "s"},
		{apart, "one.example", "one.example", "a@one.example@one.example", "C", "c"},
		{office, "one.example", "the office", "a@the office", "A", "s"},
		{office, "two.example", "the office", "b@two.example", "B", "s"},
		{office, "two.example", "the office", "b@one.example", "", ""},
		{options(), "", "sipregd", "e@x@sipregd", "E", "s"},
		{options(), "", "sipregd", "e@sipregd", "", ""},
	}
	for _, test := range tests {
		t.Run(test.username+" in "+test.realm, func(t *testing.T) {
			content := text
			if test.domain == "" {
				content = text[len(text)-len("[E]\nauthname = e@x\nsecret = s\naorname = 5\n"):]
			}
			peer, a1 := mustParse(t, content, test.options).ByUsername(test.domain, test.realm, test.username)
			label, want := "", digest.A1{}
			if peer != nil {
				label = peer.Label
			}
			if test.secret != "" {
				want = digest.NewA1(test.username, test.realm, test.secret)
			}
			if label != test.label || a1 != want {
				t.Errorf("[%s], want [%s], or another proof", label, test.label)
			}
		})
	}
}
