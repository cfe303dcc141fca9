package message

import "strings"

// cursor walks through the value of a header field, never back, by the rules
// of RFC 3261 §25.1. Folded lines have been joined before.
type cursor struct {
	text string
	at   int
}

func (c *cursor) done() bool { return c.at == len(c.text) }

// blank skips spaces and tabs (SWS) and tells whether there were any.
func (c *cursor) blank() bool {
	start := c.at
	for c.at < len(c.text) && isBlank(c.text[c.at]) {
		c.at++
	}
	return c.at > start
}

// eat takes the character c, with the white space around it that the grammar
// allows there (SEMI, COMMA, EQUAL, SLASH, COLON).
func (c *cursor) eat(character byte) bool {
	at := c.at
	for at < len(c.text) && isBlank(c.text[at]) {
		at++
	}
	if at == len(c.text) || c.text[at] != character {
		return false
	}
	for at++; at < len(c.text) && isBlank(c.text[at]); at++ {
	}
	c.at = at
	return true
}

// while takes the characters that belong to the class.
func (c *cursor) while(class uint8) string {
	at := c.at
	for at < len(c.text) && classes[c.text[at]]&class != 0 {
		at++
	}
	taken := c.text[c.at:at]
	c.at = at
	return taken
}

func (c *cursor) token() string { return c.while(classToken) }

func (c *cursor) startsWith(character byte) bool {
	return c.at < len(c.text) && c.text[c.at] == character
}

// quoted takes a quoted-string and returns what stands between its quotes, as
// it was written, and whether that holds escapes.
func (c *cursor) quoted() (inner string, escapes, ok bool) {
	start := c.at + 1
	if end := strings.IndexByte(c.text[start:], '"'); end >= 0 {
		if inner = c.text[start:][:end]; strings.IndexByte(inner, '\\') < 0 { // as a rule
			c.at = start + end + 1
			return inner, false, true
		}
	}
	for i := start; i < len(c.text); i++ {
		switch c.text[i] {
		case '\\':
			i++
		case '"':
			c.at = i + 1
			return c.text[start:i], true, true
		}
	}
	return "", false, false
}

// param is one parameter of a header field's value.
type param struct {
	name  string
	value string // without the quotes, where it had some
	text  string // the whole parameter as it was written, without its ";"
	// escapes says that the value is to be unescaped.
	escapes bool
}

// is compares the name, a token, without regard to case.
func (p param) is(name string) bool {
	return p.name == name || len(p.name) == len(name) && strings.EqualFold(p.name, name)
}

// params walks through the parameters ahead (";" generic-param).
type params struct {
	param       // that which next has taken
	count int   // of them
	err   error // what is wrong with the next one
}

// next takes a parameter, unless there is none or it is wrong.
func (p *params) next(c *cursor) bool {
	if !c.eat(';') {
		return false
	}
	if p.count++; p.count > MaxParams {
		p.err = malformed("More Than 64 Parameters")
		return false
	}
	var ok bool
	if p.param, ok = c.param(); !ok {
		p.err = malformed("Malformed Parameter")
	}
	return ok
}

// param takes name [ "=" ( value / quoted-string ) ].
func (c *cursor) param() (p param, ok bool) {
	start := c.at
	if p.name = c.token(); p.name == "" {
		return p, false
	}
	if c.eat('=') {
		if p.value, p.escapes, ok = c.value(); !ok {
			return p, false
		}
	}
	p.text = trimBlanks(c.text[start:c.at]) // nothing may stand behind the blanks behind "="
	return p, true
}

// value takes a quoted-string, or what a token, a host or a sloppy phone
// writes there, which may be nothing. NUL, which just a quoted-pair may hold, is for
// display names alone: values are kept, joined and looked up.
func (c *cursor) value() (value string, escapes, ok bool) {
	if c.startsWith('"') {
		value, escapes, ok = c.quoted()
		return value, escapes, ok && !(escapes && strings.IndexByte(value, 0) >= 0)
	}
	return c.while(classValue), false, true
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func isAllToken(text string) bool { return allOf(text, classToken) }

// isMark tells whether text can be a tag or a branch, by which transactions are
// told apart: a token (§25.1), or what phones write beyond it, but nothing that
// ends or hides a parameter.
func isMark(text string) bool { return len(text) <= MaxCallID && allOf(text, classMark) }

// trimBlanks takes the blanks off both ends.
func trimBlanks(text string) string {
	for text != "" && isBlank(text[0]) {
		text = text[1:]
	}
	for text != "" && isBlank(text[len(text)-1]) {
		text = text[:len(text)-1]
	}
	return text
}

// unescapeQuoted undoes the backslashes of a quoted-string.
func unescapeQuoted(inner string) string {
	plain := make([]byte, 0, len(inner))
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) {
			i++
		}
		plain = append(plain, inner[i])
	}
	return string(plain)
}
