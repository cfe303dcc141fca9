package peers

import "testing"

func TestElsewhere(t *testing.T) {
	d := mustParse(t, "[A]\nauthname = a\nsecret = s\naorname = 1\n"+
		"[B]\nauthname = b\nsecret = s\naorname = 2\ndomain = three.example\n",
		options("one.example", "two.example", "three.example"))
	tests := []struct{ domain, authname, label, elsewhere string }{
		{"two.example", "a", "A", "one.example"},
		{"one.example", "b", "B", "three.example"},
		{"one.example", "a", "", ""},
		{"two.example", "nobody", "", ""},
		{"two.example", "", "", ""},
	}
	for _, test := range tests {
		peer, domain := d.Elsewhere(test.domain, test.authname)
		label := ""
		if peer != nil {
			label = peer.Label
		}
		if label != test.label || domain != test.elsewhere {
			t.Errorf("%s in %s: [%s] of %s, want [%s] of %s", test.authname, test.domain, label, domain, test.label, test.elsewhere)
		}
	}
	single := mustParse(t, "[A]\nauthname = a\nsecret = s\naorname = 1\n", options())
	if peer, _ := single.Elsewhere("", "a"); peer != nil {
		t.Errorf("%v is elsewhere than in the only domain", peer)
	}
}
