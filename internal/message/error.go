package message

import "errors"

// Error says why a request cannot be taken and how it is to be answered.
type Error struct {
	Status int    // of the response, 400 for most
	Reason string // the reason phrase: what was wrong, in printable ASCII
}

func (e *Error) Error() string { return e.Reason }

func malformed(reason string) error { return &Error{Status: 400, Reason: reason} }

func tooLarge(reason string) error { return &Error{Status: 513, Reason: reason} }

// What is dropped without an answer.
var (
	ErrNotSIP   = errors.New("not a SIP message")
	ErrResponse = errors.New("a response, and no request")
)
