package message

import (
	"bytes"
	"strings"

	"sipregd/internal/sipuri"
)

// requestLine is the start-line of a request (RFC 3261 §7.1).
type requestLine struct {
	method string
	uri    sipuri.URI
	text   string // of the URI
}

// parseStartLine reads the start-line. What is no SIP at all and responses
// are told by ErrNotSIP and ErrResponse.
func parseStartLine(data []byte) (requestLine, error) {
	first, _, _ := bytes.Cut(data, []byte{'\n'})
	line := strings.TrimSuffix(string(first), "\r")
	if hasPrefixFold(line, "SIP/") {
		return requestLine{}, ErrResponse
	}
	return parseRequestLine(line)
}

func parseRequestLine(line string) (requestLine, error) {
	method := line
	firstBlank, lastBlank := strings.IndexByte(line, ' '), strings.LastIndexByte(line, ' ')
	if firstBlank >= 0 {
		method = line[:firstBlank]
	}
	if lastBlank < 0 || !hasPrefixFold(line[lastBlank+1:], "SIP/") {
		return requestLine{method: method}, notSIPOrMalformed(line)
	}
	text := line[min(firstBlank+1, lastBlank):lastBlank]
	request := requestLine{method: method, text: text}
	switch {
	case firstBlank == lastBlank || method == "" || !isAllToken(method):
		return request, malformed("Malformed Request Line")
	case !strings.EqualFold(line[lastBlank+1:], "SIP/2.0"):
		return request, &Error{Status: 505, Reason: "SIP Version Not Supported"}
	case len(text) > MaxURI:
		return request, &Error{Status: 414, Reason: "Request-URI Over 1024 Bytes"}
	}
	uri, err := sipuri.Parse(text)
	if err != nil || uri.Headers != "" { // §19.1.1, table 1
		return request, malformed("Malformed Request-URI")
	}
	request.uri = uri
	return request, nil
}

// hasThreeParts tells a request line with something wrong in it from less than one.
func hasThreeParts(data []byte) bool {
	line, _, _ := bytes.Cut(data, []byte{'\n'})
	return len(bytes.Fields(line)) >= 3
}

// notSIPOrMalformed tells noise from a request line with something behind it.
func notSIPOrMalformed(line string) error {
	if strings.Contains(strings.ToUpper(line), " SIP/2.0") {
		return malformed("Malformed Request Line")
	}
	return ErrNotSIP
}

func hasPrefixFold(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}
