package inifile

import (
	"slices"
	"strings"
)

// UnknownKey returns the fault for a key that is none of the known ones. It
// suggests the nearest one.
func UnknownKey(name string, known []string) Fault {
	return Fault{"unknown key" + repeatable(name), suggestion(name, known, "the keys here are ")}
}

// UnknownSection returns the fault for a section that is none of the known ones.
func UnknownSection(name string, known []string) Fault {
	return Fault{"unknown section", suggestion(name, known, "the sections are ")}
}

// UnknownWord returns the fault for a value that is none of the known words.
// Its cause reads on from the name of a key.
func UnknownWord(value string, known []string) *Fault {
	return &Fault{"is " + Quote(value), "write " + strings.Join(known[:len(known)-1], ", ") + " or " + known[len(known)-1]}
}

// repeatable returns the name of an unknown key where it looks like one. The
// rest of a secret that was broken over two lines does not.
func repeatable(name string) string {
	const longest = 32
	like := func(c byte) bool { return 'a' <= c && c <= 'z' || c == '_' || c == '-' }
	for i := range len(name) {
		if len(name) > longest || !like(name[i]) {
			return ""
		}
	}
	return " " + name
}

func suggestion(name string, known []string, otherwise string) string {
	if nearest, near := Nearest(name, known); near {
		return "did you mean " + nearest + "?"
	}
	return otherwise + strings.Join(known, ", ")
}

// Nearest returns the known word that takes the fewest changes of one letter
// to get from name, without regard to case. near tells whether those are few
// enough to take it for a slip.
func Nearest(name string, known []string) (nearest string, near bool) {
	name = strings.ToLower(name)
	best := len(name)/3 + 1
	if len(name) > 64 { // no slip any more
		return "", false
	}
	for _, word := range known {
		if d := distance(name, word); d < best || d == best && !near {
			nearest, best, near = word, d, true
		}
	}
	return nearest, near
}

// distance counts the letters to insert, remove or replace to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = slices.Min([]int{cost, row[j] + 1, row[j+1] + 1})
		}
	}
	return row[len(b)]
}
