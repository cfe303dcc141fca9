package inifile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestValueReadsBackAsWritten(t *testing.T) {
	tests := []struct{ name, value string }{
		{"semicolon", "any;text#at all"},
		{"blank and semicolon", "a ; b"},
		{"hash in front", "#a"},
		{"interpolation", "%(secret)s"},
		{"interpolation of a key with its line", "%(2:before)s"},
		{"double quotes", `"a"`},
		{"single quotes", `'a'`},
		{"backticks", "`a`"},
		{"backtick in front only", "`a"},
		{"three quotes", `"""a"""`},
		{"three quotes open", `"""a`},
		{"backslash at the end", `a\`},
		{"just a backslash", `\`},
		{"section in brackets", "[x]"},
		{"equals sign", "=a=b="},
		{"colon", "a:b"},
		{"the marks of the shield", "|1:a|"},
		{"blanks inside", "a  b\tc"},
		{"no-break space around", "\u00a0a\u00a0"},
		{"beyond ASCII", "Grüße, 世界"},
		{"empty", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			checkReadsBack(t, test.value)
		})
	}
}

func TestAnyPrintableValueReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkReadsBack(t, printableText().Draw(t, "value"))
	})
}

// printableText draws text without blanks around it, rich in what INI readers
// give a meaning to.
func printableText() *rapid.Generator[string] {
	special := []rune(";#%()`\"'\\[]= \t|:$s")
	return rapid.Map(
		rapid.StringOf(rapid.RuneFrom(special, unicode.L, unicode.N, unicode.P, unicode.S)),
		func(text string) string { return strings.Trim(text, blanks) })
}

// checkReadsBack puts the value between others that must not be touched.
func checkReadsBack(t rapid.TB, value string) {
	t.Helper()
	text := "[a]\nbefore = 1\nsecret = " + value + "\nafter=2\n[b]\nsecret=" + value
	file, err := Parse("x.conf", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := File{Name: "x.conf", Global: Section{Keys: []Key{}}, Sections: []Section{
		{Name: "a", Line: 1, Keys: []Key{{"before", "1", 2}, {"secret", value, 3}, {"after", "2", 4}}},
		{Name: "b", Line: 5, Keys: []Key{{"secret", value, 6}}},
	}}
	if !reflect.DeepEqual(file, want) {
		t.Fatalf("got %+v, want %+v", file, want)
	}
}

func TestLabelReadsBackAsWritten(t *testing.T) {
	tests := []struct{ name, header, want string }{
		{"text", "[Kitchen, 1st floor]", "Kitchen, 1st floor"},
		{"blanks around", "  [ \tKitchen ]  ", "Kitchen"},
		{"comment behind", "[Kitchen] ; here", "Kitchen"},
		{"hash comment behind", "[Kitchen]\t# here", "Kitchen"},
		{"bracket in the comment", "[Kitchen] ; [here]", "Kitchen"},
		{"bracket inside", "[a]b]", "a]b"},
		{"two brackets at the end", "[a]]", "a]"},
		{"semicolon right behind a bracket", "[a];b]", "a];b"},
		{"dot", "[a.b]", "a.b"},
		{"DEFAULT", "[DEFAULT]", "DEFAULT"},
		{"quotes", `["a"]`, `"a"`},
		{"hash and semicolon", "[#1; 2]", "#1; 2"},
		{"line number of the shield", "[1:a]", "1:a"},
		{"beyond ASCII", "[Büro]", "Büro"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file, err := Parse("x.conf", []byte("first = 1\n"+test.header+"\nsecond = 2\n"))
			if err != nil {
				t.Fatal(err)
			}
			want := File{Name: "x.conf", Global: Section{Keys: []Key{{"first", "1", 1}}},
				Sections: []Section{{Name: test.want, Line: 2, Keys: []Key{{"second", "2", 3}}}}}
			if !reflect.DeepEqual(file, want) {
				t.Errorf("got %+v, want %+v", file, want)
			}
		})
	}
}

func TestLinesAndOrder(t *testing.T) {
	tests := []struct {
		name, text string
		want       []Section
	}{
		{"nothing", "", []Section{}},
		{"comments and blank lines", "; a\n\n# b\n [a]\n\t;c\nk = v\n",
			[]Section{{"a", 4, []Key{{"k", "v", 6}}}}},
		{"byte order mark", "\ufeff[a]\nk = v\n", []Section{{"a", 1, []Key{{"k", "v", 2}}}}},
		{"CRLF", "[a]\r\n\r\nk = v\r\n", []Section{{"a", 1, []Key{{"k", "v", 3}}}}},
		{"CR at the very end", "[a]\nk = v\r", []Section{{"a", 1, []Key{{"k", "v", 2}}}}},
		{"section twice", "[a]\nk = 1\n[a]\nk = 2",
			[]Section{{"a", 1, []Key{{"k", "1", 2}}}, {"a", 3, []Key{{"k", "2", 4}}}}},
		{"key twice with the same value", "[a]\nk = 1\nk = 1", []Section{{"a", 1, []Key{{"k", "1", 2}, {"k", "1", 3}}}}},
		{"child inherits nothing", "[a]\nk = 1\n[a.b]", []Section{{"a", 1, []Key{{"k", "1", 2}}}, {"a.b", 3, []Key{}}}},
		{"DEFAULT is a section like others", "[a]\n[DEFAULT]\nk = 1",
			[]Section{{"a", 1, []Key{}}, {"DEFAULT", 2, []Key{{"k", "1", 3}}}}},
		{"key that is a dash", "[a]\n- = 1\n- = 2", []Section{{"a", 1, []Key{{"-", "1", 2}, {"-", "2", 3}}}}},
		{"key in quotes", "[a]\n\"k\" = 1\n`k = 2", []Section{{"a", 1, []Key{{`"k"`, "1", 2}, {"`k", "2", 3}}}}},
		{"key with a colon", "[a]\nk:l = 1", []Section{{"a", 1, []Key{{"k:l", "1", 2}}}}},
		{"indented line is no continuation", "[a]\nk = 1\n  l = 2", []Section{{"a", 1, []Key{{"k", "1", 2}, {"l", "2", 3}}}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file, err := Parse("x.conf", []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(file.Sections, test.want) {
				t.Errorf("got %+v, want %+v", file.Sections, test.want)
			}
		})
	}
}

// A long text is read in pieces, which nobody sees.
func TestLongTextReadsBackWhole(t *testing.T) {
	text := "first = 1\n"
	var want []Section
	for i := range 3 * pieceSize / len("[1234]\nk = 1234\n") {
		name, line := strconv.Itoa(i), 2*i+2
		text += "[" + name + "]\nk = " + name + "\n"
		want = append(want, Section{Name: name, Line: line, Keys: []Key{{"k", name, line + 1}}})
	}
	checked, err := Check("x.conf", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(checked.ends) < 3 || checked.Headers != len(want) {
		t.Errorf("%d pieces, %d headers", len(checked.ends), checked.Headers)
	}
	file, err := checked.file()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(file.Global.Keys, []Key{{"first", "1", 1}}) || !reflect.DeepEqual(file.Sections, want) {
		t.Errorf("got %+v", file)
	}
}

func TestFaultyLines(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"no equals sign", "[a]\n\nhunter2",
			"x.conf:3: [a] the line is no section, no key and no comment; write [section], key = value, or ; before a comment"},
		{"no key", "= hunter2", "x.conf:1: the line has no key before =; write key = value"},
		{"bracket left open", "[Kitchen",
			"x.conf:1: the section header does not end in ]; write [name], and a blank before a comment behind it"},
		{"comment right behind the bracket", "[Kitchen];x",
			"x.conf:1: the section header does not end in ]; write [name], and a blank before a comment behind it"},
		{"no name", "[ ]", "x.conf:1: the section has no name; write one between [ and ]"},
		{"Latin-1", "[a]\nk = Gr\xfc\xdfe", "x.conf:2: [a] the line is not in UTF-8; save the file as UTF-8"},
		{"Latin-1 in a comment", "; Gr\xfc\xdfe", "x.conf:1: the line is not in UTF-8; save the file as UTF-8"},
		{"UTF-16", "\xff\xfe[\x00", "x.conf:1: the line is not in UTF-8; save the file as UTF-8"},
		{"NUL", "k = a\x00b", "x.conf:1: the line holds the control character U+0000; remove it"},
		{"CR inside", "k = a\rb", "x.conf:1: the line holds the control character U+000D; remove it"},
		{"C1 control", "k = a\u0085b", "x.conf:1: the line holds the control character U+0085; remove it"},
		{"several", "a\n[b]\nc\n", "x.conf:1: the line is no section, no key and no comment; write [section], key = value, or ; before a comment\n" +
			"x.conf:3: [b] the line is no section, no key and no comment; write [section], key = value, or ; before a comment"},
		{"too many keys", "[a]\n" + strings.Repeat("k = 1\n", MaxKeys+2), "x.conf:1002: [a] the section has too many keys; keep to 1000"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse("x.conf", []byte(test.text))
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestKeysAreCountedBySection(t *testing.T) {
	section := "[a]\n" + strings.Repeat("k = 1\n", MaxKeys)
	if _, err := Parse("x.conf", []byte(section+section)); err != nil {
		t.Error(err)
	}
}

func TestReportIsBounded(t *testing.T) {
	_, err := Parse("x.conf", []byte(strings.Repeat("a\n", MaxErrors+5)))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != MaxErrors+1 || lines[MaxErrors] != "and 5 more" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	var first *Error
	if !errors.As(err, &first) || first.Line != 1 || first.File != "x.conf" {
		t.Errorf("no *Error with its place in it: %+v", first)
	}
	var merged Report
	merged.Add(Error{File: "y.conf", Fault: Fault{Cause: "something"}})
	merged.Merge(err.(*Report))
	if merged.Len() != MaxErrors+6 || !strings.HasSuffix(merged.Error(), "\nand 6 more") {
		t.Errorf("merged: %d, %v", merged.Len(), merged.Error())
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.conf")
	if _, err := Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("[a]"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := Load(path)
	if err != nil || file.Name != path || len(file.Sections) != 1 {
		t.Errorf("got %+v, %v", file, err)
	}
}

func TestUnreadable(t *testing.T) {
	_, err := os.ReadFile("/nonexistent")
	wrapped := Unreadable("/nonexistent", err, "write it")
	if got := wrapped.Error(); got != "/nonexistent: no such file or directory; write it" {
		t.Error(got)
	}
	if !errors.Is(wrapped, fs.ErrNotExist) {
		t.Error("not fs.ErrNotExist")
	}
}

// Reading stays linear in the number of sections.
func BenchmarkParse100000Sections(b *testing.B) {
	var text strings.Builder
	for i := range 100000 {
		fmt.Fprintf(&text, "[Phone %d]\nauthname = a%d\nsecret = s%d\naorname = %d\n", i, i, i, i)
	}
	data := []byte(text.String())
	for b.Loop() {
		if _, err := Parse("x.conf", data); err != nil {
			b.Fatal(err)
		}
	}
}
