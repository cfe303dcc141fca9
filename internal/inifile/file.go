// Package inifile reads INI files so that each value reads back as it was
// written and each section and key knows its line. gopkg.in/ini.v1 does the
// reading; what it would do to secrets and labels is kept from it.
package inifile

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"gopkg.in/ini.v1"
)

// File is what stands in one file, in its order. Sections and keys that stand
// twice are kept, for the caller to judge.
type File struct {
	Name     string
	Global   Section // the keys before the first section, without name and line
	Sections []Section
}

// Section is a section header and the keys below it.
type Section struct {
	Name string // the label as it was written, without the blanks around it
	Line int    // counted from 1
	Keys []Key
}

// Key is one line "name = value". Value is all that stands behind the "=",
// without the blanks around it.
type Key struct {
	Name  string
	Value string
	Line  int // counted from 1
}

// MaxKeys is how many keys a section may hold: ini.v1 compares each with each.
const MaxKeys = 1000

var byteOrderMark = []byte("\ufeff")

// Load reads the file at path. Its error is that of os.ReadFile, or a *Report.
func Load(path string) (File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return File{}, err
	}
	return Parse(path, data)
}

// Parse reads the text of a file. The name is for errors, which are a *Report.
func Parse(name string, data []byte) (File, error) {
	shielded, err := shield(name, bytes.TrimPrefix(data, byteOrderMark))
	if err != nil {
		return File{}, err
	}
	parsed, err := ini.LoadSources(ini.LoadOptions{
		AllowNonUniqueSections:  true, // unset, reading is quadratic in sections
		IgnoreContinuation:      true,
		IgnoreInlineComment:     true,
		PreserveSurroundedQuote: true,
		KeyValueDelimiters:      "=",
		ChildSectionDelimiter:   "\x00", // stands in no name: nothing inherits
	}, shielded)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", name, err)
	}
	return unshield(name, parsed.Sections()), nil
}

// shield writes each line so that ini.v1 reads it as it stands. The number of
// the line goes into the name of a section or key, so that no two are the same
// and none is special; marks around a value keep quotes, backslashes and
// blanks off its ends. Comments are left out.
func shield(name string, data []byte) ([]byte, error) {
	var report Report
	var out bytes.Buffer
	out.Grow(len(data) + len(data)/4)
	section, keys, number := "", 0, 0
	for raw := range bytes.Lines(data) {
		number++
		parts, fault := readLine(raw)
		switch {
		case fault != nil:
		case parts.kind == header:
			section, keys = parts.name, 0
			fmt.Fprintf(&out, "[%d:%s]\n", number, parts.name)
		case parts.kind == assignment:
			if keys++; keys == MaxKeys+1 {
				fault = &Fault{"the section has too many keys", "keep to " + strconv.Itoa(MaxKeys)}
			}
			fmt.Fprintf(&out, "%d:%s=|%s|\n", number, parts.name, parts.value)
		}
		if fault != nil {
			report.Add(Error{File: name, Line: number, Section: section, Fault: *fault})
		}
	}
	return out.Bytes(), report.Err()
}

// unshield takes off what shield has put on. The first section is ini.v1's own,
// for the keys before all others.
func unshield(name string, sections []*ini.Section) File {
	file := File{Name: name, Global: Section{Keys: unshieldKeys(sections[0])}}
	file.Sections = make([]Section, len(sections)-1)
	for i, section := range sections[1:] {
		line, label := unshieldName(section.Name())
		file.Sections[i] = Section{Name: label, Line: line, Keys: unshieldKeys(section)}
	}
	return file
}

func unshieldKeys(section *ini.Section) []Key {
	shielded := section.Keys()
	keys := make([]Key, len(shielded))
	for i, key := range shielded {
		line, name := unshieldName(key.Name())
		value := key.Value() // not String, which expands %(name)s
		keys[i] = Key{Name: name, Value: value[1 : len(value)-1], Line: line}
	}
	return keys
}

func unshieldName(shielded string) (line int, name string) {
	number, name, _ := strings.Cut(shielded, ":")
	line, _ = strconv.Atoi(number)
	return line, name
}
