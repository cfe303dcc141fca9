package message

import (
	"bytes"
	"strconv"
)

// outline is what a first look at a message finds, before anything is parsed.
type outline struct {
	bodyAt        int  // where the body begins; 0: the empty line has not come yet
	contentLength int  // of the body in bytes; -1: not said
	bareLF        bool // a line ended without CR

	lines      int    // so far, folded ones joined
	lineLength int    // of the last one
	isLength   bool   // the last one is Content-Length
	hasLength  bool   // there was one
	length     []byte // its value
}

// sketch checks the bounds of the header section and finds its end. A line
// ends with LF, a CR before it is part of the line's end. On an error the
// outline holds what was found so far.
func sketch(data []byte) (outline, error) {
	o := outline{contentLength: -1}
	for at := 0; at < len(data); {
		end := bytes.IndexByte(data[at:], '\n')
		if end < 0 {
			return o, checkPartial(data[at:], at)
		}
		line := data[at : at+end]
		at += end + 1
		if at > MaxHeaderSection {
			return o, tooLarge("Header Section Over 16384 Bytes")
		}
		line, hadCR := bytes.CutSuffix(line, []byte{'\r'})
		o.bareLF = o.bareLF || !hadCR
		if len(line) == 0 {
			o.bodyAt = at
			return o, o.parseContentLength()
		}
		if err := o.add(line); err != nil {
			return o, err
		}
	}
	return o, nil
}

// add takes the next line, the start-line first.
func (o *outline) add(line []byte) error {
	if hasControl(line) {
		return malformed("Control Character In Header Section")
	}
	if isFolded(line) {
		if o.lines < 2 {
			return malformed("Folded Start Line")
		}
		o.lineLength += len(line)
	} else {
		o.lines++
		o.lineLength = len(line)
		o.isLength = false
	}
	if o.lines > MaxHeaderLines+1 {
		return malformed("More Than 128 Header Fields")
	}
	if o.lineLength > MaxHeaderLine {
		return tooLarge("Header Field Over 8192 Bytes")
	}
	return o.findContentLength(line)
}

// checkPartial looks at a line whose end has not come.
func checkPartial(line []byte, at int) error {
	if at+len(line) > MaxHeaderSection {
		return tooLarge("Header Section Over 16384 Bytes")
	}
	if line = bytes.TrimSuffix(line, []byte{'\r'}); hasControl(line) {
		return malformed("Control Character In Header Section")
	}
	return nil
}

// findContentLength keeps the value where the line is that header field or
// goes on with it.
func (o *outline) findContentLength(line []byte) error {
	if isFolded(line) {
		if o.isLength {
			o.length = bytes.Join([][]byte{o.length, line}, []byte{' '})
		}
		return nil
	}
	name, value, found := bytes.Cut(line, []byte{':'})
	if !found || len(name) == 0 || name[0]|0x20 != 'c' && name[0]|0x20 != 'l' || !isContentLength(bytes.TrimRight(name, " \t")) {
		return nil
	}
	if o.hasLength {
		return malformed("Content-Length Given Twice")
	}
	o.isLength, o.hasLength, o.length = true, true, value
	return nil
}

func (o *outline) parseContentLength() error {
	if !o.hasLength {
		return nil
	}
	length, err := strconv.ParseUint(string(bytes.Trim(o.length, " \t")), 10, 31)
	if err != nil {
		return malformed("Malformed Content-Length")
	}
	o.contentLength = int(length)
	return nil
}

func isContentLength(name []byte) bool {
	return bytes.EqualFold(name, []byte("Content-Length")) || bytes.EqualFold(name, []byte("l"))
}

func isFolded(line []byte) bool { return line[0] == ' ' || line[0] == '\t' }

// hasControl looks for control characters. Only in a quoted-pair they are part
// of the grammar, and a line end not even there (§25.1).
func hasControl(line []byte) bool {
	if isPrinting(line) { // as a rule
		return false
	}
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\\' && i+1 < len(line) && line[i+1] != '\r':
			i++
		case c == '"':
			quoted = !quoted
		case c < ' ' && c != '\t' || c == 0x7f:
			return true
		}
	}
	return false
}

// isPadding tells what some phones and NATs leave behind a datagram from a body.
func isPadding[T string | []byte](rest T) bool {
	for i := range len(rest) {
		if c := rest[i]; c != '\r' && c != '\n' && c != 0 {
			return false
		}
	}
	return true
}

// Frame returns the length in bytes of the first message in what a stream has
// brought so far, and 0 while it is not all there (RFC 3261 §18.3). After an
// error the stream can be framed no more; where the error is an *Error, it may
// be answered first.
func Frame(stream []byte) (int, error) {
	if !MayBeSIP(stream) {
		return 0, ErrNotSIP
	}
	o, err := sketch(stream)
	if err != nil {
		return 0, err
	}
	if o.bodyAt == 0 {
		return 0, nil
	}
	if o.contentLength < 0 {
		return 0, malformed("Missing Content-Length")
	}
	length := o.bodyAt + o.contentLength
	if length > MaxMessage {
		return 0, tooLarge("Message Over 65535 Bytes")
	}
	if length > len(stream) {
		return 0, nil
	}
	return length, nil
}

// MayBeSIP tells a stream that carries something else by its first line, as
// soon as it can be told.
func MayBeSIP(stream []byte) bool {
	line, _, complete := bytes.Cut(stream, []byte{'\n'})
	if hasControl(bytes.TrimSuffix(line, []byte{'\r'})) {
		return false
	}
	return !complete || bytes.Contains(line, []byte("SIP/")) || bytes.Contains(bytes.ToUpper(line), []byte("SIP/"))
}

// forSipgo returns the header section as sipgo takes it: with a start-line that
// it knows, since it was read here already and sipgo refuses schemes such as
// "soap.beep:", and with a CR before each LF.
func (o *outline) forSipgo(data []byte) []byte {
	const startLine = "REGISTER sip:x SIP/2.0\r\n"
	plain := make([]byte, 0, len(startLine)+o.bodyAt+MaxHeaderLines)
	plain = append(plain, startLine...)
	head := data[bytes.IndexByte(data, '\n')+1 : o.bodyAt]
	if !o.bareLF {
		return append(plain, head...)
	}
	for line := range bytes.Lines(head) {
		plain = append(plain, bytes.TrimRight(line, "\r\n")...)
		plain = append(plain, '\r', '\n')
	}
	return plain
}
