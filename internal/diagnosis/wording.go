package diagnosis

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

const (
	maxName = 64  // characters of a name that is shown
	maxText = 160 // characters of any other text
	maxList = 5   // values of a list
)

// shortened cuts a text that is too long for a sentence.
func shortened(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	characters := 0
	for i := range text {
		if characters == limit {
			return text[:i] + "…"
		}
		characters++
	}
	return text
}

// quoted returns a name in quotation marks, with escapes for what does not print.
func quoted(name string) string { return strconv.Quote(shortened(name, maxName)) }

// shown returns a name as it is if nobody can take it for anything else, else in
// quotation marks.
func shown(name string) string {
	if name != "" && len(name) <= maxName && isPlain(name, "@._+-~=/:;[]") {
		return name
	}
	return quoted(name)
}

// isAuthname tells whether a name can stand in peers.conf as it is, where quotation
// marks would be a part of it.
func isAuthname(name string) bool {
	return name != "" && len(name) <= maxName && strings.TrimSpace(name) == name && printable(name) == name && !strings.Contains(name, ":")
}

// asAuthname is the key of peers.conf that gives a peer the name, where it can.
func asAuthname(name string) string {
	if !isAuthname(name) {
		return "another authname"
	}
	return "authname = " + name
}

// printable returns a text that prints on one line.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\ufffd'
	}, shortened(text, maxText))
}

// isPlain tells whether a text is of ASCII letters, digits and others that are
// named.
func isPlain(text, others string) bool {
	return strings.IndexFunc(text, func(r rune) bool {
		isWord := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !isWord && !strings.ContainsRune(others, r)
	}) < 0
}

// shellQuote quotes a text for a shell where it needs that. What does not print is
// escaped, as bash reads it.
func shellQuote(text string) string {
	switch {
	case text != "" && isPlain(text, "@._+-"):
		return text
	case strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0:
		return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	escaped := strconv.Quote(text)
	return "$'" + strings.ReplaceAll(escaped[1:len(escaped)-1], "'", `\'`) + "'"
}

// written returns an AOR as aorname takes it: with escapes for what may not stand
// in a user part.
func written(aor sipuri.AOR) string {
	var text strings.Builder
	for _, character := range []byte(aor.User) {
		if isPlain(string(rune(character)), "-_.!~'()&=+$?/") {
			text.WriteByte(character)
		} else {
			fmt.Fprintf(&text, "%%%02X", character)
		}
	}
	return shortened(sipuri.AOR{User: text.String(), Domain: aor.Domain}.String(), maxText)
}

// listed joins the first texts of a list with commas.
func listed[T any](values []T, text func(T) string) string {
	var list []string
	for _, value := range values {
		if len(list) == maxList {
			list = append(list, "…")
			break
		}
		list = append(list, text(value))
	}
	return strings.Join(list, ", ")
}

// joined returns AORs as they stand in aorname.
func joined(aors []sipuri.AOR) string { return listed(aors, written) }

// labels returns the labels of peers, in brackets.
func labels(list []*peers.Peer) string {
	return listed(list, func(p *peers.Peer) string { return p.String() })
}
