package message

import (
	"bytes"
	"strconv"
	"strings"
)

// parsePlain reads a REGISTER whose every line has the usual form, as nearly all
// have, in one pass and without sipgo. The grammar of the header fields is the
// same. It judges nothing: of whatever is not plain, or not right, it returns
// false, and the request is to be reset and read by parseAny.
func (r *Request) parsePlain(data []byte) bool {
	if len(data) < len(plainStart) || string(data[:len(plainStart)]) != plainStart {
		return false
	}
	end := bytes.Index(data, headerEnd)
	bodyAt := end + len(headerEnd)
	if end < 0 || bodyAt > MaxHeaderSection {
		return false
	}
	line, head := cutLine(string(data[:end+2])) // the one copy of all the texts that are kept
	if !r.takePlainStartLine(line) {
		return false
	}
	contentLength := -1
	for lines := 0; head != ""; lines++ {
		line, head = cutLine(head)
		if lines == MaxHeaderLines || !r.takePlainLine(line, &contentLength) {
			return false
		}
	}
	if contentLength > len(data)-bodyAt {
		return false
	}
	r.HasBody = contentLength > 0 || contentLength < 0 && !isPadding(data[bodyAt:])
	return r.checkMandatory() == nil
}

const plainStart = "REGISTER sip"

var headerEnd = []byte("\r\n\r\n")

// cutLine takes the first line off. It is empty where it does not end in CR LF.
func cutLine(head string) (line, rest string) {
	end := strings.IndexByte(head, '\n')
	if end < 1 || head[end-1] != '\r' {
		return "", head[end+1:]
	}
	return head[:end-1], head[end+1:]
}

func (r *Request) takePlainStartLine(line string) bool {
	if !isPlainText(line) {
		return false
	}
	request, err := parseRequestLine(line)
	r.Method, r.URI, r.URIText = request.method, request.uri, request.text
	return err == nil
}

// takePlainLine takes a header field that stands on one line, its name without a
// blank behind it.
func (r *Request) takePlainLine(line string, contentLength *int) bool {
	colon := strings.IndexByte(line, ':')
	if colon <= 0 || len(line) > MaxHeaderLine || !isPlainText(line) {
		return false
	}
	name, value := line[:colon], line[colon+1:]
	if !isAllToken(name) {
		return false
	}
	if isNamed(name, "content-length", "l") {
		length, err := strconv.ParseUint(strings.Trim(value, " \t"), 10, 31)
		if err != nil || *contentLength >= 0 {
			return false
		}
		*contentLength = int(length)
		return true
	}
	return r.takePlainField(name, strings.TrimSpace(value)) == nil
}

// takePlainField reads a header field by the grammar that sipgo's parser has
// from headerReaders, into the room that the request has.
func (r *Request) takePlainField(name, value string) error {
	switch {
	case isNamed(name, "via", "v"):
		vias, err := parseVias(r.Vias[len(r.Vias):], value)
		if err != nil {
			return err
		}
		return appendBounded(&r.Vias, vias, "Via Values")
	case isNamed(name, "from", "f"):
		from, err := parseAddress("From", value)
		if err != nil {
			return err
		}
		return once(&r.From, from, r.From.text != "", "From")
	case isNamed(name, "to", "t"):
		to, err := parseAddress("To", value)
		if err != nil {
			return err
		}
		return once(&r.To, to, r.To.text != "", "To")
	case isNamed(name, "call-id", "i"):
		id, err := parseCallID(value)
		if err != nil {
			return err
		}
		return once(&r.CallID, id, r.CallID != "", "Call-ID")
	case isNamed(name, "cseq", ""):
		cseq, err := parseCSeq(value)
		if err != nil {
			return err
		}
		return once(&r.CSeq, cseq, r.CSeq.text != "", "CSeq")
	case isNamed(name, "contact", "m"):
		contacts, err := parseContacts(r.Contacts.Values[len(r.Contacts.Values):], value)
		if err != nil {
			return err
		}
		return r.takeContacts(contacts)
	case isNamed(name, "authorization", ""):
		credentials, err := parseCredentials(value)
		if err != nil {
			return err
		}
		return r.takeCredentials(credentials)
	case isNamed(name, "expires", ""):
		return once(&r.Expires, parseExpires(value), r.Expires.Present, "Expires")
	case isNamed(name, "supported", "k"), isNamed(name, "require", ""), isNamed(name, "proxy-require", ""):
		return r.takePlainTags(name, value)
	}
	return r.takeText(name, value)
}

func (r *Request) takePlainTags(name, value string) error {
	tags, err := parseOptionTags(r.Require[len(r.Require):], value)
	if err != nil || !isNamed(name, "require", "") {
		return err
	}
	return appendBounded(&r.Require, tags, "Option Tags")
}

// isNamed compares a name, a token, with one in lower case and its compact form.
func isNamed(name, full, compact string) bool {
	switch len(name) {
	case len(full):
		return strings.EqualFold(name, full)
	case len(compact):
		return name[0]|0x20 == compact[0]
	}
	return false
}

// isPlainText tells whether a line is there, begins without a blank, and holds no
// control character, not even a tab: eight bytes at a time.
func isPlainText(line string) bool {
	if line == "" || line[0] == ' ' {
		return false
	}
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
