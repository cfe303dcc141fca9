package inifile

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind says what a line is.
type kind uint8

const (
	nothing kind = iota // blank or a comment
	header
	assignment
)

// line is a line taken apart.
type line struct {
	kind  kind
	name  string // of a header the label, of an assignment the key
	value string
}

const blanks = " \t"

// readLine takes a line apart, its line break included. No fault repeats the
// text of the line, which may hold a secret.
func readLine(raw string) (line, *Fault) {
	raw = strings.TrimSuffix(strings.TrimSuffix(raw, "\n"), "\r")
	if fault := checkCharacters(raw); fault != nil {
		return line{}, fault
	}
	text := strings.Trim(raw, blanks)
	switch {
	case text == "" || isCommentMark(text[0]):
		return line{}, nil
	case text[0] == '[':
		return readHeader(text)
	}
	return readAssignment(text)
}

func isCommentMark(c byte) bool { return c == ';' || c == '#' }

// checkCharacters lets printable UTF-8 and tabs pass.
func checkCharacters(raw string) *Fault {
	for i := 0; i < len(raw); {
		if raw[i] >= ' ' && raw[i] < unicode.MaxASCII { // as a rule
			i++
			continue
		}
		character, size := utf8.DecodeRuneInString(raw[i:])
		switch {
		case character == utf8.RuneError && size == 1:
			return &Fault{"the line is not in UTF-8", "save the file as UTF-8"}
		case unicode.IsControl(character) && character != '\t':
			return &Fault{fmt.Sprintf("the line holds the control character %U", character), "remove it"}
		}
		i += size
	}
	return nil
}

// readHeader reads "[label]". The label ends at the first "]" behind which
// nothing or a comment stands, so that it may hold brackets itself.
func readHeader(text string) (line, *Fault) {
	for i := 1; i < len(text); i++ {
		if text[i] != ']' || !endsHeader(text[i+1:]) {
			continue
		}
		label := strings.Trim(text[1:i], blanks)
		if label == "" {
			return line{}, &Fault{"the section has no name", "write one between [ and ]"}
		}
		return line{kind: header, name: label}, nil
	}
	return line{}, &Fault{"the section header does not end in ]",
		"write [name], and a blank before a comment behind it"}
}

// endsHeader tells whether what stands behind a "]" is blank, or blanks and a
// comment.
func endsHeader(rest string) bool {
	trimmed := strings.TrimLeft(rest, blanks)
	return trimmed == "" || len(trimmed) < len(rest) && isCommentMark(trimmed[0])
}

func readAssignment(text string) (line, *Fault) {
	name, value, found := strings.Cut(text, "=")
	if !found {
		return line{}, &Fault{"the line is no section, no key and no comment",
			"write [section], key = value, or ; before a comment"}
	}
	name = strings.TrimSpace(name) // as ini.v1 does
	if name == "" {
		return line{}, &Fault{"the line has no key before =", "write key = value"}
	}
	return line{kind: assignment, name: name, value: strings.Trim(value, blanks)}, nil
}
