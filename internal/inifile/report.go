package inifile

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Fault says what is wrong with a line or a value, and what to write instead.
// Neither text holds a secret.
type Fault struct {
	Cause  string
	Advice string
}

// Of returns the fault of the key with that name, for causes that read on from
// it, such as "is empty".
func (f Fault) Of(key string) Fault { return Fault{key + " " + f.Cause, f.Advice} }

// Error is a fault and its place. Its text is one line:
//
//	file:line: [section] cause; advice
type Error struct {
	File    string
	Line    int    // 0: the file as a whole
	Section string // empty: before the first section
	Fault
	Err error // what lies below, or nil
}

func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&text, ":%d", e.Line)
	}
	text.WriteString(": ")
	if e.Section != "" {
		text.WriteString("[" + e.Section + "] ")
	}
	text.WriteString(e.Cause)
	if e.Advice != "" {
		text.WriteString("; " + e.Advice)
	}
	return text.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Unreadable returns the error for a file that the system does not give.
func Unreadable(path string, err error, advice string) *Error {
	cause := err.Error()
	var inPath *fs.PathError
	if errors.As(err, &inPath) {
		cause = inPath.Err.Error()
	}
	return &Error{File: path, Fault: Fault{cause, advice}, Err: err}
}

// MaxErrors is how many errors a Report holds. It counts those beyond.
const MaxErrors = 20

// Report collects errors, so that all can be mended in one go. It is an error
// itself, with one line for each. The zero value is empty.
type Report struct {
	errors []*Error
	more   int
}

// Add takes an error in.
func (r *Report) Add(e Error) {
	if len(r.errors) == MaxErrors {
		r.more++
		return
	}
	r.errors = append(r.errors, &e)
}

// Merge takes in what another report holds.
func (r *Report) Merge(other *Report) {
	for _, e := range other.errors {
		r.Add(*e)
	}
	r.more += other.more
}

// Len returns how many errors were added.
func (r *Report) Len() int { return len(r.errors) + r.more }

// Err returns the report, or nil where it is empty.
func (r *Report) Err() error {
	if r.Len() == 0 {
		return nil
	}
	return r
}

// Lines returns the text of each error, and how many more there are.
func (r *Report) Lines() []string {
	var lines []string
	for _, e := range r.errors {
		lines = append(lines, e.Error())
	}
	if r.more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", r.more))
	}
	return lines
}

func (r *Report) Error() string { return strings.Join(r.Lines(), "\n") }

func (r *Report) Unwrap() []error {
	list := make([]error, len(r.errors))
	for i, e := range r.errors {
		list[i] = e
	}
	return list
}
