package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// mostSaid bounds a message of the daemon's, in bytes.
const mostSaid = 1 << 20

// message is one of a stream of server-sent events, in the form that WHATWG HTML
// §9.2 gives them.
type message struct {
	event string
	data  []byte
}

// eachMessage hands out the messages of a stream until it ends, or taking one
// fails.
func eachMessage(stream io.Reader, take func(message) error) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, mostSaid)
	var m message
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) > 0 {
			m.field(line)
			continue
		}
		if len(m.data) > 0 {
			if err := take(m); err != nil {
				return err
			}
		}
		m = message{}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("the daemon sends a message of more than %d bytes", mostSaid)
	}
	return nil // how else it has ended is all one: the daemon is gone
}

// field takes a line in. One that begins with a colon is a comment.
func (m *message) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		m.event = string(value)
	case "data":
		if m.data != nil {
			m.data = append(m.data, '\n')
		}
		m.data = append(m.data, value...)
	}
}
