package transport

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"sipregd/internal/message"
)

// FuzzStream cuts a stream at arbitrary places: it gives the same messages,
// the same keepalives and the same end as in one piece.
func FuzzStream(f *testing.F) {
	one := "REGISTER sip:a SIP/2.0\r\nContent-Length: 2\r\n\r\nhi"
	f.Add([]byte(one+one), uint8(1))
	f.Add([]byte("\r\n\r\n"+one+"\r\n\r\n\r\n"+one), uint8(3))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint8(5))
	f.Add([]byte("A sip:a SIP/2.0\nl: 0\n\n\n\r"), uint8(2))
	f.Add([]byte("A sip:a SIP/2.0\r\nX: y\r\n\r\n"), uint8(7))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		whole, wholeErr := split(data, max(len(data), 1))
		pieces, piecesErr := split(data, int(step)+1)
		if !bytes.Equal(whole, pieces) {
			t.Errorf("in one piece %q, cut %q", whole, pieces)
		}
		if ending(wholeErr) != ending(piecesErr) {
			t.Errorf("in one piece %v, cut %v", wholeErr, piecesErr)
		}
		var wrong *message.Error
		if wholeErr != nil && !errors.As(wholeErr, &wrong) && wholeErr != message.ErrNotSIP {
			t.Errorf("unknown error %v", wholeErr)
		}
	})
}

// split feeds data to a splitter, so much at a time, and returns its messages
// behind each other, then the answers to keepalives: where these stand among
// the others does not matter.
func split(data []byte, step int) (out []byte, err error) {
	var p splitter
	var pongs []byte
	defer func() { out = append(out, pongs...) }()
	for piece := range pieces(data, step) {
		reader := bytes.NewReader(piece)
		for reader.Len() > 0 {
			if err := p.read(reader); err != nil && err != io.EOF {
				return out, err
			}
		}
		answers, err := p.take(nil, func(answers []byte, messages [][]byte) []byte {
			for _, message := range messages {
				out = append(append(out, '|'), message...)
			}
			return answers
		})
		pongs = append(pongs, answers...)
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

func pieces(data []byte, step int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(data) > 0 {
			n := min(step, len(data))
			if !yield(data[:n]) {
				return
			}
			data = data[n:]
		}
	}
}

// ending tells apart a stream that goes on, one that gets an answer before it
// ends, and one that does not. Which of two faults is named depends on which
// has come yet.
func ending(err error) string {
	switch err {
	case nil:
		return "goes on"
	case message.ErrNotSIP:
		return "no SIP"
	}
	return "answered"
}
