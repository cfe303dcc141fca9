package message

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
)

// Response is what a request is answered: RFC 3261 §8.2.6 without the header
// fields that are copied from the request.
type Response struct {
	Status  int
	Reason  string
	Headers []Header
	// Keep says that a retransmission has to get this response again, since
	// answering it anew would judge it differently.
	Keep bool
}

// Header is one header field of a response. Its value must not hold line ends.
type Header struct{ Name, Value string }

// NewResponse returns a response without header fields of its own.
func NewResponse(status int, reason string) *Response {
	return &Response{Status: status, Reason: reason}
}

// With adds a header field.
func (r *Response) With(name, value string) *Response {
	r.Headers = append(r.Headers, Header{name, value})
	return r
}

// Render writes the response to a request: Via in order, From, To, Call-ID and
// CSeq as they came (§8.2.6.2), the topmost Via with received and rport, and
// To with toTag where it has no tag yet.
func Render(request *Request, response *Response, toTag string) []byte {
	text := make([]byte, 0, 1024)
	text = append(text, "SIP/2.0 "...)
	text = strconv.AppendInt(text, int64(response.Status), 10)
	text = append(append(append(text, ' '), response.Reason...), "\r\n"...)
	text = request.appendCopies(text, toTag)
	for _, header := range response.Headers {
		text = appendHeader(text, header.Name, header.Value)
	}
	return append(text, "Content-Length: 0\r\n\r\n"...)
}

func appendHeader(text []byte, name, value string) []byte {
	text = append(append(text, name...), ": "...)
	return append(append(text, value...), "\r\n"...)
}

// appendCopies appends the header fields that an answer takes from the request.
func (r *Request) appendCopies(text []byte, toTag string) []byte {
	if r.copied != nil {
		return r.appendSalvaged(text, toTag)
	}
	for i := range r.Vias {
		via := r.Vias[i].Text()
		if i == 0 {
			via = r.Vias[i].Received(r.Flow.Source)
		}
		text = appendHeader(text, "Via", via)
	}
	text = appendHeader(text, "From", r.From.text)
	text = appendTo(text, r.To.text, r.To.Tag, toTag)
	text = appendHeader(text, "Call-ID", r.CallID)
	return appendHeader(text, "CSeq", r.CSeq.text)
}

// appendTo adds the tag to a To that has none.
func appendTo(text []byte, to, tag, toTag string) []byte {
	if tag == "" {
		to += ";tag=" + toTag
	}
	return appendHeader(text, "To", to)
}

// appendSalvaged does the same for a request that did not parse. A To that is
// not sound gets no tag.
func (r *Request) appendSalvaged(text []byte, toTag string) []byte {
	for _, header := range r.copied {
		if header.name == "To" {
			if to, err := parseAddress("To", header.value); err == nil {
				text = appendTo(text, header.value, to.Tag, toTag)
				continue
			}
		}
		text = appendHeader(text, header.name, header.value)
	}
	return text
}

type headerText struct{ name, value string }

// salvage collects from a request that did not parse what an answer copies:
// whatever stands on lines that are sound by themselves. Its topmost Via is
// kept where it can be read, for the way back.
func salvage(request *Request, data []byte) {
	head := data[:min(len(data), MaxHeaderSection)]
	request.Vias, request.copied = nil, []headerText{}
	seen := map[string]bool{}
	for _, header := range soundHeaders(head) {
		name := answerName(header.name)
		if name == "" || header.value == "" || name != "Via" && seen[name] {
			continue
		}
		if (name == "Call-ID" || name == "CSeq") && strings.ContainsFunc(header.value, unicode.IsControl) {
			continue // quotes open nothing there
		}
		if name == "Via" && !seen[name] {
			header.value = request.salvageVia(header.value)
		}
		seen[name] = true
		request.copied = append(request.copied, headerText{name, header.value})
	}
}

// showsWayBack tells whether a request that did not parse has a topmost Via that is
// in order up to sent-by, of whatever version: who sends in earnest has one.
func (r *Request) showsWayBack() bool {
	for _, header := range r.copied {
		if header.name == "Via" {
			c, via := cursor{text: header.value}, Via{}
			_, ok := c.sentProtocolAndHost(&via)
			return ok
		}
	}
	return false
}

// salvageVia keeps the topmost Via and returns it as an answer shows it.
func (r *Request) salvageVia(text string) string {
	vias, err := parseVias(text)
	if err != nil {
		return text
	}
	r.Vias = vias
	text = vias[0].Received(r.Flow.Source)
	for i := range vias[1:] {
		text += ", " + vias[1+i].Text()
	}
	return text
}

// soundHeaders splits lines into names and values, joins folded ones and
// leaves out those that hold control characters.
func soundHeaders(head []byte) []headerText {
	var headers []headerText
	first := true
	for line := range bytes.Lines(head) {
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			break
		}
		switch name, value, found := strings.Cut(text, ":"); {
		case first:
			first = false
		case hasControl([]byte(text)):
			headers = append(headers, headerText{})
		case isFolded([]byte(text)) && len(headers) > 0:
			headers[len(headers)-1].value += " " + strings.Trim(text, " \t")
		case found:
			headers = append(headers, headerText{strings.Trim(name, " \t"), strings.Trim(value, " \t")})
		}
	}
	return headers
}

// answerName returns the full name of a header field that answers copy.
func answerName(name string) string {
	switch strings.ToLower(name) {
	case "via", "v":
		return "Via"
	case "from", "f":
		return "From"
	case "to", "t":
		return "To"
	case "call-id", "i":
		return "Call-ID"
	case "cseq":
		return "CSeq"
	}
	return ""
}
