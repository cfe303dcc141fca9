package message

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Response is what a request is answered: RFC 3261 §8.2.6 without the header
// fields that are copied from the request.
type Response struct {
	Status int
	// Keep says that a retransmission has to get this response again, since
	// answering it anew would judge it differently.
	Keep bool
	// Vouched says that the sender proved nothing, as the administrator vouches for his
	// address: over UDP the answer may still go to a victim, but is not one of too many.
	Vouched bool
	// Alive is for how long the stream that it goes out on may be silent from then on,
	// which the phone is told by Flow-Timer (RFC 5626 §4.4); 0: for as long as before.
	Alive time.Duration

	own []byte // see Own
}

// NewResponse returns a response without header fields of its own.
func NewResponse(status int, reason string) *Response {
	r := &Response{}
	r.begin(status, reason)
	return r
}

// Respond returns a response to the request as NewResponse does. It is the
// request's only one, and as good for reuse as the request is.
func (r *Request) Respond(status int, reason string) *Response {
	r.response.begin(status, reason)
	return &r.response
}

func (r *Response) begin(status int, reason string) {
	r.Status, r.Keep, r.Vouched, r.Alive = status, false, false, 0
	r.own = strconv.AppendInt(r.own[:0], int64(status), 10)
	r.own = append(append(append(r.own, ' '), reason...), "\r\n"...)
}

// With adds a header field. Its value must not hold line ends.
func (r *Response) With(name, value string) *Response {
	r.own = appendHeader(r.own, name, value)
	return r
}

// WithBytes is With for a value that is not kept.
func (r *Response) WithBytes(name string, value []byte) *Response {
	r.own = append(append(r.own, name...), ": "...)
	r.own = append(append(r.own, value...), "\r\n"...)
	return r
}

// Own returns what a retransmission of the request does not bring along: the
// status, the reason and the header fields that are the response's own. Render
// makes the same response of it again.
func (r *Response) Own() []byte { return r.own }

// Essential returns what an answer cannot do without, of what Response.Own returns: the
// first challenge of several (RFC 8760 §2.3 has the best one first), and the header
// fields that its status has to have.
func Essential(own []byte) []byte {
	var essential []byte
	challenged := false
	for line := range bytes.Lines(own) {
		name, _, isField := bytes.Cut(line, []byte{':'})
		switch {
		case essential == nil: // the status
		case !isField:
			continue
		case string(name) == "WWW-Authenticate":
			if challenged {
				continue
			}
			challenged = true
		case string(name) != "Unsupported" && string(name) != "Allow":
			continue
		}
		essential = append(essential, line...)
	}
	return essential
}

// Render appends the response to a request to room: Via in order, From, To,
// Call-ID and CSeq as they came (§8.2.6.2), the topmost Via with received and
// rport, and To with toTag where it has no tag yet. own is Response.Own.
func Render(room []byte, request *Request, own, toTag []byte) []byte {
	status := bytes.IndexByte(own, '\n') + 1
	text := append(append(room, "SIP/2.0 "...), own[:status]...)
	text = request.appendCopies(text, toTag)
	return append(append(text, own[status:]...), "Content-Length: 0\r\n\r\n"...)
}

// TagText writes a tag out, always in the same length, so that it tells nothing.
func TagText(tag uint64) (digits [16]byte) {
	var bytes [8]byte
	binary.BigEndian.PutUint64(bytes[:], tag)
	hex.Encode(digits[:], bytes[:])
	return digits
}

func appendHeader(text []byte, name, value string) []byte {
	text = append(append(text, name...), ": "...)
	return append(append(text, value...), "\r\n"...)
}

// appendCopies appends the header fields that an answer takes from the request.
func (r *Request) appendCopies(text, toTag []byte) []byte {
	if r.copied != nil {
		return r.appendSalvaged(text, toTag)
	}
	for i := range r.Vias {
		text = append(text, "Via: "...)
		if i == 0 {
			text = r.Vias[i].appendReceived(text, r.Flow.Source)
		} else {
			text = append(text, r.Vias[i].text...)
		}
		text = append(text, "\r\n"...)
	}
	text = appendHeader(text, "From", r.From.text)
	text = appendTo(text, r.To.text, r.To.Tag, toTag)
	text = appendHeader(text, "Call-ID", r.CallID)
	return appendHeader(text, "CSeq", r.CSeq.text)
}

// appendTo adds the tag to a To that has none.
func appendTo(text []byte, to, tag string, toTag []byte) []byte {
	text = append(append(text, "To: "...), to...)
	if tag == "" {
		text = append(append(text, ";tag="...), toTag...)
	}
	return append(text, "\r\n"...)
}

// appendSalvaged does the same for a request that did not parse. A To that is
// not sound gets no tag.
func (r *Request) appendSalvaged(text, toTag []byte) []byte {
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
		request.salvageName(header)
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

// salvageName keeps by what people know a phone, for the log.
func (r *Request) salvageName(header headerText) {
	switch name := answerName(header.name); {
	case name == "To" && r.To.text == "":
		if to, err := parseAddress("To", header.value); err == nil {
			r.To = to
		}
	case name == "Call-ID" && r.CallID == "":
		r.CallID, _ = parseCallID(header.value)
	case strings.EqualFold(header.name, "User-Agent"):
		r.UserAgent = header.value
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
	vias, err := parseVias(nil, text)
	if err != nil {
		return text
	}
	r.Vias = vias
	text = string(vias[0].appendReceived(nil, r.Flow.Source))
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
