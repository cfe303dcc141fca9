package shared

import (
	"testing"

	"sipregd/internal/sipuri"
)

func TestKeys(t *testing.T) {
	for key, aor := range map[string]sipuri.AOR{
		"b:{2001@example.com}":            {User: "2001", Domain: "example.com"},
		"b:{2001}":                        {User: "2001"},
		"b:{2001%40example.com}":          {User: "2001@example.com"},
		"b:{a%7Bb%7D%25%20%00%C3%A9;x=y}": {User: "a{b}% \x00é;x=y"},
		"b:{2001@[2001:db8::1]}":          {User: "2001", Domain: "[2001:db8::1]"},
	} {
		if got := keyOf(aor); got != key {
			t.Errorf("%+v has %q, not %q", aor, got, key)
		}
		if got, ok := aorOf(key); !ok || got != aor {
			t.Errorf("%q is %+v, %v", key, got, ok)
		}
	}
	for _, key := range []string{"b:{a", "b:a}", "c:{a}", "b:{a b}", "b:{%61}", "b:{a@b@c}", "b:{a{b}", "b:{a%4}", ""} {
		if aor, ok := aorOf(key); ok {
			t.Errorf("%q is taken for %+v", key, aor)
		}
	}
}

func TestVersions(t *testing.T) {
	for _, text := range []string{"", "1732644616123456-k3j2h1g0", "1732644616123456-0", "1732644616123456-3w5e11264sgsf"} {
		if v, ok := parseVersion(text); !ok || v.String() != text {
			t.Errorf("%q is %v, %v", text, v, ok)
		}
	}
	for _, text := range []string{"x", "1", "1-", "-1", "01-1", "1-01", "1-A", "1-1 ", "1-1-1"} {
		if v, ok := parseVersion(text); ok {
			t.Errorf("%q is taken for %v", text, v)
		}
	}
}
