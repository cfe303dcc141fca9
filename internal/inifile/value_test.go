package inifile

import (
	"reflect"
	"strings"
	"testing"
)

func TestWithoutComment(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"none", "2001", "2001"},
		{"semicolon", "2001 ; kitchen", "2001"},
		{"hash behind a tab", "2001\t\t# kitchen", "2001"},
		{"no blank before", "a;b#c", "a;b#c"},
		{"at the start", "; kitchen", ""},
		{"the first of two", "a # b ; c", "a"},
		{"empty", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			key := Key{Value: test.value}
			if got := key.WithoutComment(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if got := key.LooksCommented(); got != (test.value != test.want) {
				t.Errorf("looks commented: %v", got)
			}
		})
	}
}

func TestNumber(t *testing.T) {
	tests := []struct {
		name, value string
		want        uint64
		cause       string
	}{
		{"least", "1", 1, ""},
		{"most", "10", 10, ""},
		{"below", "0", 0, `is "0"`},
		{"above", "11", 0, `is "11"`},
		{"sign", "+5", 0, `is "+5"`},
		{"negative", "-5", 0, `is "-5"`},
		{"unit", "5s", 0, `is "5s"`},
		{"hexadecimal", "0x5", 0, `is "0x5"`},
		{"underscore", "1_0", 0, `is "1_0"`},
		{"empty", "", 0, `is ""`},
		{"beyond 64 bits", "99999999999999999999", 0, `is "99999999999999999999"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, fault := Number(test.value, 1, 10)
			checkFault(t, fault, test.cause, "write a whole number from 1 to 10")
			if got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestSwitch(t *testing.T) {
	tests := []struct {
		name  string
		words []string
		want  bool
		cause string
	}{
		{"on", []string{"yes", "true", "on", "1", "YES"}, true, ""},
		{"off", []string{"no", "false", "off", "0", "No"}, false, ""},
		{"neither", []string{"ja"}, false, `is "ja"`},
		{"empty", []string{""}, false, `is ""`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, word := range test.words {
				got, fault := Switch(word)
				checkFault(t, fault, test.cause, "write yes or no")
				if got != test.want {
					t.Errorf("%s: got %v", word, got)
				}
			}
		})
	}
}

func TestList(t *testing.T) {
	const cause = "has an empty place in its list"
	tests := []struct {
		name, value string
		want        []string
		cause       string
	}{
		{"empty", "", nil, ""},
		{"one", "a", []string{"a"}, ""},
		{"blanks", "a ,\tb c", []string{"a", "b c"}, ""},
		{"comma at the end", "a,", nil, cause},
		{"two commas", "a,,b", nil, cause},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, fault := List(test.value)
			checkFault(t, fault, test.cause, "write one comma between two values, and none at the end")
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// checkFault compares a fault; an empty cause stands for none.
func checkFault(t *testing.T, fault *Fault, cause, advice string) {
	t.Helper()
	switch {
	case cause == "" && fault != nil:
		t.Errorf("unexpected fault %+v", *fault)
	case cause != "" && (fault == nil || *fault != Fault{cause, advice}):
		t.Errorf("got fault %+v, want %q", fault, cause)
	}
}

func TestQuoteShortens(t *testing.T) {
	if got := Quote(strings.Repeat("ü", 100)); got != `"`+strings.Repeat("ü", 40)+`…"` {
		t.Error(got)
	}
	if got := Quote(strings.Repeat("ü", 40)); got != `"`+strings.Repeat("ü", 40)+`"` {
		t.Error(got)
	}
}

func TestUnknownKey(t *testing.T) {
	known := []string{"authname", "aorname", "secret", "max_contacts"}
	tests := []struct{ name, key, want string }{
		{"letters swapped", "sercet", "unknown key sercet; did you mean secret?"},
		{"letter missing", "secrt", "unknown key secrt; did you mean secret?"},
		{"two letters missing", "aname", "unknown key aname; did you mean aorname?"},
		{"other case", "Authnam", "unknown key; did you mean authname?"},
		{"blank for underscore", "max contacts", "unknown key; did you mean max_contacts?"},
		{"nothing near", "callerid", "unknown key callerid; the keys here are authname, aorname, secret, max_contacts"},
		{"what may be a secret is not repeated", "secret: hunter2", "unknown key; the keys here are authname, aorname, secret, max_contacts"},
		{"a long one is not repeated", strings.Repeat("a", 65), "unknown key; the keys here are authname, aorname, secret, max_contacts"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fault := UnknownKey(test.key, known)
			if got := fault.Cause + "; " + fault.Advice; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
