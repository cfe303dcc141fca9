// Package inifile reads INI files so that each value reads back as it was
// written and each section and key knows its line. gopkg.in/ini.v1 does the
// reading; what it would do to secrets and labels is kept from it.
package inifile

import (
	"bytes"
	"fmt"
	"iter"
	"os"
	"runtime"
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

// pieceSize is how much text is read at a time, in bytes: ini.v1 takes some
// twenty times as much memory. After each piece others go first, as reading a
// long file is work of half a second and phones may wait for the processor.
const pieceSize = 8 << 10

var byteOrderMark = []byte("\ufeff")

// Load reads the file at path. Its error is that of os.ReadFile, or a *Report.
func Load(path string) (File, error) {
	text, err := Open(path)
	if err != nil {
		return File{}, err
	}
	return text.file()
}

// Parse reads the text of a file. The name is for errors, which are a *Report.
func Parse(name string, data []byte) (File, error) {
	text, err := Check(name, data)
	if err != nil {
		return File{}, err
	}
	return text.file()
}

// Text is what stands in one file, of which each line can be read. It is for
// long files: a File of many sections takes a lot of memory.
type Text struct {
	Name     string
	Headers  int // of sections; two may have the same name
	shielded []byte
	ends     []int // of the pieces of it: each but the last ends before a section header
}

// Open returns the text of the file at path. Its error is that of os.ReadFile,
// or a *Report.
func Open(path string) (*Text, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Check(path, data)
}

// Check returns the text of a file where each line can be read. The name is for
// errors, which are a *Report.
func Check(name string, data []byte) (*Text, error) {
	text := &Text{Name: name}
	if err := text.shield(string(bytes.TrimPrefix(data, byteOrderMark))); err != nil {
		return nil, err
	}
	return text, nil
}

// Sections yields what stands in the file, in its order. What comes first are
// the keys before all sections: a section without name and line.
func (t *Text) Sections() iter.Seq2[Section, error] {
	return func(yield func(Section, error) bool) {
		begin := 0
		for number, end := range t.ends {
			runtime.Gosched()
			sections, err := t.read(t.shielded[begin:end])
			if err != nil {
				yield(Section{}, err)
				return
			}
			if begin = end; number > 0 {
				sections = sections[1:] // ini.v1's own, for the keys before all others
			}
			for _, section := range sections {
				if !yield(unshield(section), nil) {
					return
				}
			}
		}
	}
}

func (t *Text) read(piece []byte) ([]*ini.Section, error) {
	parsed, err := ini.LoadSources(ini.LoadOptions{
		AllowNonUniqueSections:  true, // unset, reading is quadratic in sections
		IgnoreContinuation:      true,
		IgnoreInlineComment:     true,
		PreserveSurroundedQuote: true,
		KeyValueDelimiters:      "=",
		ChildSectionDelimiter:   "\x00", // stands in no name: nothing inherits
	}, piece)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	return parsed.Sections(), nil
}

// file reads all of it.
func (t *Text) file() (File, error) {
	file := File{Name: t.Name, Sections: make([]Section, 0, t.Headers)}
	for section, err := range t.Sections() {
		switch {
		case err != nil:
			return File{}, err
		case section.Line == 0:
			file.Global = section
		default:
			file.Sections = append(file.Sections, section)
		}
	}
	return file, nil
}

// shield writes each line so that ini.v1 reads it as it stands. The number of
// the line goes into the name of a section or key, so that no two are the same
// and none is special; marks around a value keep quotes, backslashes and
// blanks off its ends. Comments are left out.
func (t *Text) shield(data string) error {
	var report Report
	section, keys, number, begin := "", 0, 0, 0
	out := make([]byte, 0, len(data)+len(data)/2)
	for raw := range strings.Lines(data) {
		number++
		parts, fault := readLine(raw)
		switch {
		case fault != nil:
		case parts.kind == header:
			if len(out)-begin > pieceSize {
				begin, t.ends = len(out), append(t.ends, len(out))
				runtime.Gosched()
			}
			section, keys = parts.name, 0
			t.Headers++
			out = append(appendName(append(out, '['), number, parts.name), "]\n"...)
		case parts.kind == assignment:
			if keys++; keys == MaxKeys+1 {
				fault = &Fault{"the section has too many keys", "keep to " + strconv.Itoa(MaxKeys)}
			}
			out = append(appendName(out, number, parts.name), "=|"...)
			out = append(append(out, parts.value...), "|\n"...)
		}
		if fault != nil {
			report.Add(Error{File: t.Name, Line: number, Section: section, Fault: *fault})
		}
	}
	t.shielded, t.ends = out, append(t.ends, len(out))
	return report.Err()
}

func appendName(out []byte, line int, name string) []byte {
	return append(append(strconv.AppendInt(out, int64(line), 10), ':'), name...)
}

// unshield takes off what shield has put on.
func unshield(section *ini.Section) Section {
	line, name := unshieldName(section.Name()) // none: those of ini.v1's own section
	return Section{Name: name, Line: line, Keys: unshieldKeys(section)}
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
