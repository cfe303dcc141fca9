package message

import (
	"strconv"
	"strings"

	"sipregd/internal/sipuri"
)

// Address is the value of From and To: an address-of-record and a tag.
type Address struct {
	URI sipuri.URI
	Tag string // empty: none

	text    string // as it came
	uriText string // of the URI
}

// URIText returns the URI as it was written.
func (a *Address) URIText() string { return a.uriText }

// Contact is one value of the Contact header field (RFC 3261 §20.10), without
// its display name.
type Contact struct {
	URI     sipuri.URI
	Text    string // the URI as it was written
	Params  string // ";name=value" repeated, as written, without expires, q and GRUUs
	Q       string // as it was written, empty: none or malformed
	Expires Expires

	Instance string // of +sip.instance (RFC 5626 §4.1), without quotes; empty: none
	RegID    uint32 // of reg-id, 0: none
}

// WithoutRegID returns the parameters without reg-id, for where it has no meaning.
func (c *Contact) WithoutRegID() string {
	if c.RegID == 0 {
		return c.Params
	}
	var others strings.Builder
	walk := cursor{text: c.Params}
	for p := (params{}); p.next(&walk); {
		if !p.is("reg-id") {
			others.WriteByte(';')
			others.WriteString(p.text)
		}
	}
	return others.String()
}

// InstanceOf reads +sip.instance and reg-id in parameters as Contact.Params has them.
func InstanceOf(text string) (instance string, regID uint32) {
	var c Contact
	walk := cursor{text: text}
	for p := (params{}); p.next(&walk); { // they were read before
		_ = c.takeInstance(&p.param)
	}
	return c.Instance, c.RegID
}

// EachParam calls do with each parameter, as Contact.Params has them: its name, and its
// value as it was written, quotes included.
func EachParam(text string, do func(name, value string)) {
	walk := cursor{text: text}
	for p := (params{}); p.next(&walk); { // they were read before
		_, value, _ := strings.Cut(p.text, "=")
		do(p.name, trimBlanks(value))
	}
}

// takeInstance takes what tells a phone and its flow from others.
func (c *Contact) takeInstance(p *param) error {
	switch {
	case p.is("+sip.instance"):
		if c.Instance != "" || len(p.value) > MaxInstance {
			return malformed("Malformed Instance ID")
		}
		c.Instance = p.value
	case p.is("reg-id"):
		if c.RegID != 0 {
			return malformed("Reg-Id Given Twice")
		}
		id, _ := strconv.ParseUint(trimBlanks(p.value), 10, 31) // malformed is as good as none
		c.RegID = uint32(id)
	}
	return nil
}

// ExpiresInURI returns what phones ask for that set the parameter inside of the
// brackets, where it is none of Contact. It counts where nothing else is asked for.
func (c *Contact) ExpiresInURI() Expires {
	if value, found := c.URI.Param("expires"); found {
		return parseExpires(value)
	}
	return Expires{}
}

// Contacts are all Contact values of a request.
type Contacts struct {
	Star   bool // the one value is "*"
	Values []Contact
}

// Expires is a time to live as it was asked for, by a Contact's parameter or
// by the Expires header field (RFC 3261 §20.19).
type Expires struct {
	Present bool
	Seconds uint32
	Valid   bool // false: no number from 0 to 2**32-1
}

// parseExpires reads delta-seconds. What is malformed is no error: it counts
// as the default (§10.2.1.1, §20.10).
func parseExpires(text string) Expires {
	seconds, err := strconv.ParseUint(trimBlanks(text), 10, 32)
	return Expires{Present: true, Seconds: uint32(seconds), Valid: err == nil}
}

// parseAddress reads the value of From or To; name is for the reason phrase.
func parseAddress(name, text string) (Address, error) {
	var a, none Address
	if err := a.parse(name, text, &none); err != nil {
		return Address{}, err
	}
	return a, nil
}

// parse is parseAddress. From and To mostly hold the same URI: that of the other
// is not parsed again. a has to be the zero value, and is of no use after an error.
func (a *Address) parse(name, text string, other *Address) error {
	c := cursor{text: text}
	uriText, err := c.nameAddr()
	if err != nil {
		return inField(name, err)
	}
	if uriText == other.uriText && uriText != "" {
		a.URI = other.URI
	} else if a.URI.Set(uriText) != nil {
		return malformed("Malformed URI In " + name)
	}
	a.text, a.uriText = text, uriText
	p, tagged := params{}, false
	for p.next(&c) {
		if !p.is("tag") {
			continue
		}
		if tagged || p.value == "" || !isMark(p.value) {
			return inField(name, malformed("Malformed Tag"))
		}
		tagged, a.Tag = true, p.value
	}
	if p.err != nil {
		return inField(name, p.err)
	}
	if c.blank(); !c.done() {
		return malformed("Malformed " + name)
	}
	return nil
}

// inField says in the reason phrase which header field was wrong.
func inField(name string, err error) error {
	return malformed(err.Error() + " In " + name)
}

// parseContacts reads one Contact header field into room: "*" or values with
// commas. One that is empty, which the grammar has not (§20.10), holds no value:
// alone it makes a query, which deletes nothing, and it takes nothing from what
// others ask for.
func parseContacts(room []Contact, text string) (Contacts, error) {
	c := cursor{text: text}
	if c.blank(); c.done() {
		return Contacts{}, nil
	}
	if c.star() {
		return Contacts{Star: true}, c.starEnd()
	}
	contacts := Contacts{Values: room[:0]}
	for {
		contacts.Values = append(contacts.Values, Contact{})
		if err := c.contact(&contacts.Values[len(contacts.Values)-1]); err != nil {
			return Contacts{}, inField("Contact", err)
		}
		if c.blank(); c.done() {
			return contacts, nil
		}
		if !c.eat(',') {
			return Contacts{}, malformed("Malformed Contact")
		}
		if len(contacts.Values) == MaxListValues {
			return Contacts{}, malformed("More Than 64 Contacts")
		}
	}
}

// star takes "*" where it is no token of a display name.
func (c *cursor) star() bool {
	rest, found := strings.CutPrefix(c.text[c.at:], "*")
	if rest = strings.TrimLeft(rest, " \t"); !found || rest != "" && rest[0] != ';' && rest[0] != ',' {
		return false
	}
	c.at = len(c.text) - len(rest)
	return true
}

// starEnd takes what stands behind "*": an expiry of 0 is forgiven, as it says the
// same as the Expires that has to stand beside (§10.2.2).
func (c *cursor) starEnd() error {
	p, zero := params{}, Expires{true, 0, true}
	for p.next(c) {
		if p.count > 1 || !p.is("expires") || parseExpires(p.value) != zero {
			return malformed("Malformed Contact")
		}
	}
	if c.blank(); p.err != nil || !c.done() {
		return malformed("Malformed Contact")
	}
	return nil
}

// contact takes contact-param = (name-addr / addr-spec) *(SEMI contact-params).
func (c *cursor) contact(contact *Contact) error {
	text, err := c.nameAddr()
	if err != nil {
		return err
	}
	if contact.Text = text; contact.URI.Set(text) != nil {
		return malformed("Malformed URI")
	}
	var others strings.Builder
	p, hasQ := params{}, false
	for p.next(c) {
		switch {
		case p.is("expires"):
			if contact.Expires.Present {
				return malformed("Expires Given Twice")
			}
			contact.Expires = parseExpires(p.value)
		case p.is("q"):
			if hasQ {
				return malformed("Q Given Twice")
			}
			hasQ = true
			if isQValue(p.value) {
				contact.Q = p.value
			}
		case p.is("pub-gruu"), p.is("temp-gruu"): // the registrar gives them, not the phone
		default:
			others.WriteByte(';')
			others.WriteString(p.text)
			if err := contact.takeInstance(&p.param); err != nil {
				return err
			}
		}
	}
	contact.Params = others.String()
	return p.err
}

// isQValue tells whether text is a number from 0 to 1 with at most three
// decimals.
func isQValue(text string) bool {
	whole, decimals, _ := strings.Cut(text, ".")
	if len(decimals) > 3 || strings.Trim(decimals, "0123456789") != "" {
		return false
	}
	return whole == "0" || whole == "1" && strings.Trim(decimals, "0") == "" ||
		whole == "" && decimals != ""
}

// nameAddr takes name-addr or addr-spec and returns the URI's text.
func (c *cursor) nameAddr() (uri string, err error) {
	c.blank()
	bracketed, err := c.displayName()
	if err != nil {
		return "", err
	}
	if bracketed {
		uri, err = c.bracketedURI()
	} else {
		uri, err = c.bareURI()
	}
	if len(uri) > MaxURI {
		return "", malformed("URI Over 1024 Bytes")
	}
	return uri, err
}

// displayName skips the display name and tells whether "<" follows. One that needs
// quotes and has none is forgiven, but for commas and semicolons, which would make
// another list of the header field.
func (c *cursor) displayName() (bracketed bool, err error) {
	start, isQuoted := c.at, c.startsWith('"')
	for {
		c.while(classDisplay)
		switch {
		case c.startsWith('<'):
			return true, nil
		case !c.startsWith('"') && isQuoted:
			return false, malformed("No URI")
		case !c.startsWith('"'): // no display name
			c.at = start
			return false, nil
		}
		if _, _, ok := c.quoted(); !ok {
			return false, malformed("Unclosed Quote")
		}
	}
}

// bracketedURI takes "<" URI ">". Blanks at the brackets are forgiven.
func (c *cursor) bracketedURI() (string, error) {
	end := strings.IndexByte(c.text[c.at:], '>')
	if end < 0 {
		return "", malformed("Unclosed URI")
	}
	uri := c.text[c.at+1 : c.at+end]
	c.at += end + 1
	return trimBlanks(uri), nil
}

// bareURI takes an addr-spec without brackets: what follows ";" belongs to
// the header field, and "?" may not stand in it (§20).
func (c *cursor) bareURI() (string, error) {
	uri := c.while(classBareURI)
	if strings.IndexByte(uri, '?') >= 0 {
		return "", malformed("URI Headers Without Brackets")
	}
	return uri, nil
}
