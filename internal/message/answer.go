package message

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
	"unsafe"
)

// Answer is what is read of a response to a request of our own: by what it is found,
// and what it says.
type Answer struct {
	Status int
	Via    Via    // the only one
	Method string // of CSeq
	// RetryAfter is after how many seconds the request may be made again (§20.33); 0: it is
	// not said.
	RetryAfter uint32
}

// Final tells whether no other answer follows (RFC 3261 §7.2).
func (a *Answer) Final() bool { return a.Status >= 200 }

// AnswersFrom tells whether the request was sent from that address (§18.1.2).
func (a *Answer) AnswersFrom(local netip.AddrPort) bool {
	port := a.Via.Port
	if port == 0 {
		port = 5060
	}
	return port == local.Port() && a.Via.sentFrom(local.Addr())
}

// ParseAnswer reads a response, whose texts are parts of data. It is strict, as it need
// not get at what somebody else may have meant: whatever is not right is not ok. Nor is
// a response with several Via values, which is for somebody else (§8.1.3.3).
func ParseAnswer(data []byte) (answer Answer, ok bool) {
	if len(data) > MaxHeaderSection { // what is read of one of ours is far less
		data = data[:MaxHeaderSection]
	}
	data = bytes.TrimLeft(data, "\r\n")
	line, rest, _ := cutLine(unsafe.String(unsafe.SliceData(data), len(data)))
	if answer.Status, ok = statusOf(line); !ok {
		return Answer{}, false
	}
	wasRead, vias := false, 0
	for lines := 0; lines < MaxHeaderLines; lines++ {
		var complete bool
		if line, rest, complete = cutLine(rest); line == "" {
			return answer, complete && vias == 1 && answer.Method != ""
		}
		if isBlank(line[0]) { // it goes on with the field before
			if wasRead {
				return Answer{}, false
			}
			continue
		}
		name, value, isField := strings.Cut(line, ":")
		name = trimBlanks(name)
		if isField && strings.EqualFold(name, "Retry-After") {
			answer.RetryAfter = leadingSeconds(trimBlanks(value))
		}
		if wasRead = isRead(name); !wasRead {
			continue
		}
		if !isField || len(line) > MaxHeaderLine || !isPrinting(value) || !answer.take(name, trimBlanks(value), &vias) {
			return Answer{}, false
		}
	}
	return Answer{}, false
}

// statusOf reads the status-line (§7.2).
func statusOf(line string) (status int, ok bool) {
	const version = "SIP/2.0 "
	if len(line) < len(version)+3 || !strings.EqualFold(line[:len(version)], version) {
		return 0, false
	}
	digits, behind := line[len(version):len(version)+3], line[len(version)+3:]
	status, err := strconv.Atoi(digits)
	return status, err == nil && status >= 100 && status < 700 && (behind == "" || behind[0] == ' ')
}

// leadingSeconds returns the number that a text begins with, before a comment or parameters;
// 0: there is none, or none that is any use.
func leadingSeconds(text string) uint32 {
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	seconds, _ := strconv.ParseUint(text[:digits], 10, 31)
	return uint32(seconds)
}

func isRead(name string) bool {
	return strings.EqualFold(name, "Via") || strings.EqualFold(name, "v") || strings.EqualFold(name, "CSeq")
}

// take reads a Via or CSeq.
func (a *Answer) take(name, value string, vias *int) bool {
	if strings.EqualFold(name, "CSeq") {
		cseq, err := parseCSeq(value)
		isFirst := a.Method == ""
		a.Method = cseq.Method
		return isFirst && err == nil
	}
	c := cursor{text: value}
	if *vias++; *vias > 1 || c.via(&a.Via) != nil {
		return false
	}
	return c.done() && a.Via.Cookie()
}
