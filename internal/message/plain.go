package message

import (
	"strconv"
	"strings"
	"unsafe"
)

// parsePlain reads a REGISTER, or what makes a call, whose every line has the usual form,
// as nearly all have, in one pass and without sipgo. The grammar of the header fields is the
// same. Texts are parts of data, not copies. It judges nothing: of whatever is not
// plain, or not right, it returns false, and the request is to be reset and read by
// parseAny.
func (r *Request) parsePlain(data []byte) bool {
	if !hasPlainMethod(data) {
		return false
	}
	line, rest, complete := cutLine(unsafe.String(unsafe.SliceData(data), len(data)))
	if !complete || !r.takePlainStartLine(line) {
		return false
	}
	contentLength := -1
	for lines := 0; ; lines++ {
		if line, rest, complete = cutLine(rest); line == "" {
			break
		}
		if lines == MaxHeaderLines || !r.takePlainLine(line, &contentLength) {
			return false
		}
	}
	if !complete || contentLength > len(rest) || len(data)-len(rest) > MaxHeaderSection {
		return false
	}
	r.HasBody = contentLength > 0 || contentLength < 0 && !isPadding(rest)
	return r.checkMandatory() == nil
}

// hasPlainMethod tells whether a message begins as one that may be plain does. More is
// read of a SUBSCRIBE.
func hasPlainMethod(data []byte) bool {
	for _, start := range [...]string{registerStart, "INVITE sip", "ACK sip"} {
		if len(data) >= len(start) && string(data[:len(start)]) == start {
			return true
		}
	}
	return false
}

const registerStart = "REGISTER sip"

// cutLine takes the first line off, if it is complete and ends in CR LF.
func cutLine(text string) (line, rest string, complete bool) {
	end := strings.IndexByte(text, '\n')
	if end < 1 || text[end-1] != '\r' {
		return "", "", false
	}
	return text[:end-1], text[end+1:], true
}

// takePlainStartLine reads a start-line. That of the REGISTER which the request was
// before, as all phones of a domain write the same, is not parsed again.
func (r *Request) takePlainStartLine(line string) bool {
	start := r.lastStart
	if line != r.lastLine {
		keeps := strings.HasPrefix(line, registerStart)
		if keeps {
			line = strings.Clone(line) // it outlives the request
		}
		var err error
		if start, err = parseRequestLine(line); err != nil || !isPlainText(line) {
			return false
		}
		if keeps {
			r.lastLine, r.lastStart = line, start
		}
	}
	r.Method, r.URI, r.URIText = start.method, start.uri, start.text
	return true
}

// takePlainLine takes a header field that stands on one line.
func (r *Request) takePlainLine(line string, contentLength *int) bool {
	colon := strings.IndexByte(line, ':')
	if colon <= 0 || len(line) > MaxHeaderLine || !isPlainText(line) {
		return false
	}
	name, value := line[:colon], line[colon+1:]
	field := plainField(name)
	if field == fieldContentLength {
		length, err := strconv.ParseUint(trimBlanks(value), 10, 31)
		if err != nil || *contentLength >= 0 {
			return false
		}
		*contentLength = int(length)
		return true
	}
	return r.takePlainField(field, name, strings.TrimSpace(value))
}

// takePlainField reads a header field by the grammar that sipgo's parser has
// from headerReaders, into the room that the request has.
func (r *Request) takePlainField(field int, name, value string) bool {
	var err error
	switch field {
	case fieldUnusual:
		return false
	case fieldVia:
		var vias []Via
		if vias, err = parseVias(r.Vias[len(r.Vias):], value); err == nil {
			err = appendBounded(&r.Vias, vias, "Via Values")
		}
	case fieldFrom:
		if r.From.text != "" {
			return false
		}
		err = r.From.parse("From", value, &r.To)
	case fieldTo:
		if r.To.text != "" {
			return false
		}
		err = r.To.parse("To", value, &r.From)
	case fieldCallID:
		if r.CallID != "" {
			return false
		}
		r.CallID, err = parseCallID(value)
	case fieldCSeq:
		if r.CSeq.text != "" {
			return false
		}
		r.CSeq, err = parseCSeq(value)
	case fieldContact:
		var contacts Contacts
		if contacts, err = parseContacts(r.Contacts.Values[len(r.Contacts.Values):], value); err == nil {
			err = r.takeContacts(contacts)
		}
	case fieldAuthorization:
		err = r.takeAuthorization(value)
	case fieldExpires:
		err = once(&r.Expires, parseExpires(value), r.Expires.Present, "Expires")
	case fieldRequire:
		var tags []string
		if tags, err = parseOptionTags(r.Require[len(r.Require):], value); err == nil {
			err = appendBounded(&r.Require, tags, "Option Tags")
		}
	case fieldSupported:
		var space [16]string
		var tags []string
		tags, err = parseOptionTags(space[:0], value)
		r.Supported |= extensionsOf(tags)
	case fieldProxyRequire:
		var space [8]string
		_, err = parseOptionTags(space[:0], value)
	case fieldPath:
		var path Path
		if path, err = parsePath(value); err == nil {
			err = r.takePath(path)
		}
	case fieldUserAgent:
		r.UserAgent = value
	case fieldOther:
	default:
		err = r.takeText(name, value)
	}
	return err == nil
}

// The header fields whose values are read.
const (
	fieldText  = iota
	fieldOther // nothing that is read
	fieldUnusual
	fieldUserAgent
	fieldVia
	fieldFrom
	fieldTo
	fieldCallID
	fieldCSeq
	fieldContact
	fieldAuthorization
	fieldExpires
	fieldRequire
	fieldSupported
	fieldProxyRequire
	fieldPath
	fieldContentLength
)

// plainField tells a header field by the name that phones write as a rule. One
// that is written in another way, and what is no token, is unusual.
func plainField(name string) int {
	switch name {
	case "Via", "v":
		return fieldVia
	case "From", "f":
		return fieldFrom
	case "To", "t":
		return fieldTo
	case "Call-ID", "i":
		return fieldCallID
	case "CSeq":
		return fieldCSeq
	case "Contact", "m":
		return fieldContact
	case "Authorization":
		return fieldAuthorization
	case "Expires":
		return fieldExpires
	case "Require":
		return fieldRequire
	case "Supported", "k":
		return fieldSupported
	case "Proxy-Require":
		return fieldProxyRequire
	case "Path":
		return fieldPath
	case "Content-Length", "l":
		return fieldContentLength
	case "User-Agent":
		return fieldUserAgent
	case "Max-Forwards", "Allow", "Allow-Events", "Accept", "Date":
		return fieldOther
	}
	for _, known := range [...]string{"via", "v", "from", "f", "to", "t", "call-id", "i", "cseq", "contact", "m",
		"authorization", "expires", "require", "supported", "k", "proxy-require", "path", "content-length", "l"} {
		if len(name) == len(known) && strings.EqualFold(name, known) {
			return fieldUnusual
		}
	}
	if !isAllToken(name) {
		return fieldUnusual
	}
	return fieldText
}

// isPlainText tells whether a line is there, begins without a blank, and holds no
// control character, not even a tab.
func isPlainText(line string) bool { return line != "" && line[0] != ' ' && isPrinting(line) }

// isPrinting tells whether text holds no control character, eight bytes at a time.
func isPrinting[T string | []byte](line T) bool {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
		dels  = 0x7f * ones
	)
	for ; len(line) >= 8; line = line[8:] {
		word := uint64(line[0]) | uint64(line[1])<<8 | uint64(line[2])<<16 | uint64(line[3])<<24 |
			uint64(line[4])<<32 | uint64(line[5])<<40 | uint64(line[6])<<48 | uint64(line[7])<<56
		below, del := (word-' '*ones)&^word, word^dels
		if (below|(del-ones)&^del)&highs != 0 {
			return false
		}
	}
	for i := range len(line) {
		if line[i] < ' ' || line[i] == 0x7f {
			return false
		}
	}
	return true
}
