package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// visible makes text from the network fit for a terminal: what is no printable
// character (escape sequences, C1 controls, line ends, marks that turn the
// direction of writing) becomes visible as "\x1b" or "\u202e".
func visible(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
		text = text[size:]
	}
	return b.String()
}

// mostShown is how many bytes of one text stand in a line.
const mostShown = 160

// short is visible, cut where it would fill the screen.
func short(text string) string {
	if len(text) <= mostShown {
		return visible(text)
	}
	end := mostShown
	for end > mostShown-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return visible(text[:end]) + "…"
}

// visibleLines is visible for a whole message: its lines stay lines.
func visibleLines(message string) []string {
	lines := strings.Split(strings.TrimRight(message, "\r\n"), "\n")
	for i, line := range lines {
		lines[i] = visible(strings.TrimSuffix(line, "\r"))
	}
	return lines
}

// asArgument returns text as an argument for the shell.
func asArgument(text string) string {
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@.:_-+/[]") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
