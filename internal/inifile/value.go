package inifile

import (
	"fmt"
	"strconv"
	"strings"
)

// WithoutComment returns the value without the comment at its end: a ";" or
// "#" at its start or behind a blank, and what follows. It is for all keys but
// those whose values may be any text.
func (k Key) WithoutComment() string {
	if i := commentStart(k.Value); i >= 0 {
		return strings.TrimRight(k.Value[:i], blanks)
	}
	return k.Value
}

// LooksCommented tells whether WithoutComment would return less than Value.
func (k Key) LooksCommented() bool { return commentStart(k.Value) >= 0 }

func commentStart(value string) int {
	for i := range len(value) {
		if isCommentMark(value[i]) && (i == 0 || strings.IndexByte(blanks, value[i-1]) >= 0) {
			return i
		}
	}
	return -1
}

// The causes of the faults below read on from the name of a key.

// Number reads a whole number in that range, both ends included.
func Number(value string, minimum, maximum uint64) (uint64, *Fault) {
	number, err := strconv.ParseUint(value, 10, 64)
	if err != nil || number < minimum || number > maximum {
		return 0, &Fault{"is " + Quote(value),
			fmt.Sprintf("write a whole number from %d to %d", minimum, maximum)}
	}
	return number, nil
}

// Auto is the number that the word auto stands for.
const Auto = -1

// NumberOrAuto reads a whole number in that range, both ends included, or the word
// auto.
func NumberOrAuto(value string, minimum, maximum uint64) (int, *Fault) {
	if strings.EqualFold(value, "auto") {
		return Auto, nil
	}
	number, fault := Number(value, minimum, maximum)
	if fault != nil {
		fault.Advice += ", or auto"
	}
	return int(number), fault
}

// Switch reads yes or no, in any of the usual spellings and in any case.
func Switch(value string) (bool, *Fault) {
	switch strings.ToLower(value) {
	case "yes", "true", "on", "1":
		return true, nil
	case "no", "false", "off", "0":
		return false, nil
	}
	return false, &Fault{"is " + Quote(value), "write yes or no"}
}

// List splits a list at its commas. An empty value is an empty list.
func List(value string) ([]string, *Fault) {
	if value == "" {
		return nil, nil
	}
	parts := strings.Split(value, ",")
	for i := range parts {
		parts[i] = strings.Trim(parts[i], blanks)
		if parts[i] == "" {
			return nil, &Fault{"has an empty place in its list", "write one comma between two values, and none at the end"}
		}
	}
	return parts, nil
}

// maxQuoted is how much of a value an error repeats, in bytes.
const maxQuoted = 80

// Quote returns text in quotes for an error, shortened where it is long.
func Quote(text string) string {
	if len(text) > maxQuoted {
		text = strings.ToValidUTF8(text[:maxQuoted], "") + "…"
	}
	return strconv.Quote(text)
}
