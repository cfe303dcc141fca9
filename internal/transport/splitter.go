package transport

import (
	"bytes"

	"sipregd/internal/message"
)

// splitter cuts a stream into messages (RFC 3261 §18.3).
type splitter struct {
	buffer  []byte // what has come and is not handled yet
	partial bool   // a message has begun and is not all there
	pings   int    // that came just now
}

// room returns where to put what comes next.
func (p *splitter) room() []byte {
	if cap(p.buffer)-len(p.buffer) < readSize/2 {
		p.buffer = append(make([]byte, 0, max(readSize, 2*cap(p.buffer))), p.buffer...)
	}
	return p.buffer[len(p.buffer):cap(p.buffer)]
}

var (
	ping = []byte("\r\n\r\n") // a keepalive (RFC 5626 §3.5.1)
	pong = []byte("\r\n")
)

// take hands the whole messages to answer and returns the answers, to
// keepalives first. After an error the stream cannot be framed any more.
func (p *splitter) take(room []byte, answer func(answers []byte, messages [][]byte) []byte) (answers []byte, err error) {
	var space [8][]byte
	messages, answers := space[:0], room
	rest := p.buffer
	p.pings = 0
	for length := -1; length != 0 && err == nil; {
		var pings int
		rest, pings = skipKeepalives(rest)
		p.pings += pings
		for range pings {
			answers = append(answers, pong...)
		}
		if bytes.HasPrefix(ping, rest) { // nothing, or the rest of a ping may still come
			break
		}
		if length, err = message.Frame(rest); length > 0 {
			messages = append(messages, rest[:length])
			rest = rest[length:]
		}
	}
	if len(messages) > 0 {
		answers = answer(answers, messages)
	}
	p.keep(rest)
	return answers, err
}

// keep moves what is left to the front; a large buffer is let go when empty.
func (p *splitter) keep(rest []byte) {
	if len(rest) == 0 && cap(p.buffer) > readSize {
		p.buffer = nil
	} else {
		p.buffer = append(p.buffer[:0], rest...)
	}
	p.partial = len(bytes.TrimLeft(rest, "\r\n")) > 0
}

// skipKeepalives takes line ends from between messages (RFC 3261 §7.5) and
// counts the pings among them.
func skipKeepalives(data []byte) (rest []byte, pings int) {
	for {
		switch {
		case bytes.HasPrefix(data, ping):
			data = data[len(ping):]
			pings++
		case bytes.HasPrefix(ping, data):
			return data, pings
		case bytes.HasPrefix(data, []byte("\r\n")):
			data = data[2:]
		case bytes.HasPrefix(data, []byte("\n")):
			data = data[1:]
		default:
			return data, pings
		}
	}
}
