package main

import (
	"bytes"
	"testing"
)

func TestParagraph(t *testing.T) {
	const cause = "The phone sends \"2001\" as its Auth ID, and no peer has that authname."
	tests := []struct {
		name  string
		width int
		first string
		text  string
		want  string
	}{
		{"no terminal", 0, "  Cause: ", cause, "  Cause: " + cause + "\n"},
		{"narrow", 40, "  Cause: ", cause, "  Cause: The phone sends \"2001\" as its\n         Auth ID, and no peer has that\n         authname.\n"},
		{"word longer than the line", 12, "", "a sip:2001@example.com b", "a\nsip:2001@example.com\nb\n"},
		{"wide characters", 10, "", "日本 日本 x", "日本 日本\nx\n"},
		{"nothing", 40, "first", "", "first\n"},
		{"hostile", 40, "", "a\x1b[2J\nb", `a\x1b[2J\nb` + "\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			paragraph(&out, test.width, test.first, test.text)
			if out.String() != test.want {
				t.Errorf("got %q, want %q", out.String(), test.want)
			}
		})
	}
}
