package message

import (
	"strconv"
	"strings"
)

// CSeq is the value of the CSeq header field (RFC 3261 §20.16).
type CSeq struct {
	Number uint32 // less than 2**31 (§8.1.1.5)
	Method string

	text string // as it came
}

func parseCSeq(text string) (CSeq, error) {
	c := cursor{text: text}
	number, err := strconv.ParseUint(c.token(), 10, 31)
	if err != nil || !c.blank() {
		return CSeq{}, malformed("Malformed CSeq")
	}
	method := c.token()
	if c.blank(); method == "" || !c.done() {
		return CSeq{}, malformed("Malformed CSeq")
	}
	return CSeq{Number: uint32(number), Method: method, text: text}, nil
}

// parseCallID reads word [ "@" word ], forgiving in its characters.
func parseCallID(text string) (string, error) {
	if text == "" || len(text) > MaxCallID || !allOf(text, classVisible) {
		return "", malformed("Malformed Call-ID")
	}
	return text, nil
}

// parseOptionTags reads a comma-separated list of option tags (§19.2) into room.
func parseOptionTags(room []string, text string) ([]string, error) {
	tags := room[:0]
	for tag := range strings.SplitSeq(text, ",") {
		tag = trimBlanks(tag)
		if tag == "" {
			continue
		}
		if !isAllToken(tag) {
			return nil, malformed("Malformed Option Tag")
		}
		if len(tags) == MaxListValues {
			return nil, malformed("More Than 64 Option Tags")
		}
		tags = append(tags, tag)
	}
	return tags, nil
}
