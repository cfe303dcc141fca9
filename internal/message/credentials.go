package message

import (
	"strconv"
	"strings"
)

// Credentials are the value of one Authorization header field (RFC 7616
// §3.4). Its strings are unquoted. Of schemes other than Digest only the
// scheme is kept.
type Credentials struct {
	Scheme    string // as it was written
	Username  string // the authname
	Realm     string
	Nonce     string
	URI       string
	Response  string
	Algorithm string // empty: not said, which means MD5
	CNonce    string
	QOP       string // empty: the form of RFC 2069
	NC        string // empty without QOP
}

// IsDigest tells whether the scheme is Digest.
func (c *Credentials) IsDigest() bool {
	return c.Scheme == "Digest" || strings.EqualFold(c.Scheme, "Digest")
}

func parseCredentials(text string) (credentials Credentials, err error) {
	err = credentials.parse(text)
	return credentials, err
}

// parse is parseCredentials; credentials have to be the zero value.
func (c *Credentials) parse(text string) error {
	value := cursor{text: text}
	if c.Scheme = value.token(); c.Scheme == "" {
		return malformed("Malformed Authorization")
	}
	if !c.IsDigest() {
		return nil
	}
	if !value.blank() {
		return malformed("Malformed Authorization")
	}
	return c.parseDirectives(&value)
}

// answersChallenge tells credentials from those that a phone without a challenge
// shows its authname with (3GPP TS 24.229 §5.1.1.2): they count as none.
func (c *Credentials) answersChallenge() bool {
	return c.IsDigest() && c.Nonce != "" && c.Response != ""
}

// parseDirectives takes the comma-separated auth-params; empty ones are forgiven.
func (c *Credentials) parseDirectives(value *cursor) error {
	var seen [directiveCount]bool
	for count := 0; !value.done(); {
		if value.eat(',') {
			continue
		}
		p, ok := value.param()
		if count++; !ok || count > MaxParams {
			return malformed("Malformed Authorization")
		}
		if err := c.set(p, &seen); err != nil {
			return err
		}
		if value.blank(); !value.done() && !value.startsWith(',') {
			return malformed("Malformed Authorization")
		}
	}
	return nil
}

// directiveCount is how many directives are known.
const directiveCount = 9

// directive returns where a directive is kept, and its number; nil for unknown
// ones, which are ignored (RFC 7616 §3.4).
func (c *Credentials) directive(name string) (value *string, number int) {
	switch name {
	case "username":
		return &c.Username, 0
	case "realm":
		return &c.Realm, 1
	case "nonce":
		return &c.Nonce, 2
	case "uri":
		return &c.URI, 3
	case "response":
		return &c.Response, 4
	case "algorithm":
		return &c.Algorithm, 5
	case "cnonce":
		return &c.CNonce, 6
	case "qop":
		return &c.QOP, 7
	case "nc":
		return &c.NC, 8
	}
	if lower := strings.ToLower(name); lower != name {
		return c.directive(lower)
	}
	return nil, 0
}

// set stores one directive and refuses a second one of the same name.
func (c *Credentials) set(p param, seen *[directiveCount]bool) error {
	value, number := c.directive(p.name)
	if value == nil {
		return nil
	}
	if seen[number] {
		return malformed("Authorization Directive Given Twice")
	}
	seen[number] = true
	if *value = p.value; p.escapes {
		*value = unescapeQuoted(p.value)
	}
	return nil
}

// Check names the first directive that a digest needs and that is not there, or
// returns nil. Parse leaves that to whom the credentials are for.
func (c *Credentials) Check() *Error {
	switch {
	case c.Username == "":
		return &Error{400, "Authorization Without username"}
	case c.URI == "":
		return &Error{400, "Authorization Without uri"}
	case c.QOP == "": // the form of RFC 2069
		return nil
	case c.CNonce == "":
		return &Error{400, "Authorization Without cnonce"}
	}
	if _, err := strconv.ParseUint(c.NC, 16, 32); err != nil {
		return &Error{400, "Authorization With Malformed nc"}
	}
	return nil
}
