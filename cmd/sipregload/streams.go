package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// stream is a carrier over TCP.
type stream struct {
	descriptor int
	out        []byte
	room       []byte // to read into, of all streams
	part       []byte // of a response that is not all there yet
}

func newStream(descriptor int, room []byte) *stream {
	return &stream{descriptor: descriptor, room: room}
}

func (s *stream) put(p *phone) { s.out = p.appendRequest(s.out) }

// flush keeps what the kernel does not take now.
func (s *stream) flush() (left bool, err error) {
	sent := 0
	for sent < len(s.out) && err == nil {
		var n int
		n, err = unix.Write(s.descriptor, s.out[sent:])
		sent += max(0, n)
		if errors.Is(err, unix.EINTR) {
			err = nil
		}
	}
	s.out = append(s.out[:0], s.out[sent:]...)
	if errors.Is(err, unix.EAGAIN) {
		err = nil
	}
	return len(s.out) > 0, err
}

var errClosed = errors.New("the server has closed a stream")

func (s *stream) receive(use func(response []byte)) error {
	held := copy(s.room, s.part)
	n, err := unix.Read(s.descriptor, s.room[held:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return err
	}
	if n == 0 {
		return errClosed
	}
	rest, err := split(s.room[:held+n], use)
	s.part = append(s.part[:0], rest...)
	return err
}

func (s *stream) close() { _ = unix.Close(s.descriptor) }

// split hands over the whole responses and returns what is left (RFC 3261
// §18.3).
func split(data []byte, use func(response []byte)) (rest []byte, err error) {
	for {
		data = bytes.TrimLeft(data, "\r\n")
		length, err := frame(data)
		if err != nil || length > len(data) {
			return data, err
		}
		use(data[:length])
		data = data[length:]
	}
}

// frame returns how long the first response is, more than the data if that
// cannot be told yet.
func frame(data []byte) (int, error) {
	const name = "\r\nContent-Length: "
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		if len(data) > maxSize {
			return 0, fmt.Errorf("%w: its header has no end:\n%s", errUnexpected, data)
		}
		return len(data) + 1, nil
	}
	header := data[:end+2]
	_, value, found := bytes.Cut(header, []byte(name))
	value, _, _ = bytes.Cut(value, []byte("\r\n"))
	body, err := strconv.Atoi(string(value))
	if !found || err != nil || body < 0 || body > maxSize {
		return 0, fmt.Errorf("%w: it has no Content-Length that makes sense:\n%s", errUnexpected, header)
	}
	return end + 4 + body, nil
}
