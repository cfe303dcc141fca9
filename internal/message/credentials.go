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
func (c *Credentials) IsDigest() bool { return strings.EqualFold(c.Scheme, "Digest") }

func parseCredentials(text string) (Credentials, error) {
	c := cursor{text: text}
	credentials := Credentials{Scheme: c.token()}
	if credentials.Scheme == "" {
		return Credentials{}, malformed("Malformed Authorization")
	}
	if !credentials.IsDigest() {
		return credentials, nil
	}
	if !c.blank() {
		return Credentials{}, malformed("Malformed Authorization")
	}
	var seen [directiveCount]bool
	err := c.directives(func(p param) error { return credentials.set(p, &seen) })
	return credentials, err
}

// answersChallenge tells credentials from those that a phone without a challenge
// shows its authname with (3GPP TS 24.229 §5.1.1.2): they count as none.
func (c *Credentials) answersChallenge() bool {
	return c.IsDigest() && c.Nonce != "" && c.Response != ""
}

// directives takes the comma-separated auth-params; empty ones are forgiven.
func (c *cursor) directives(set func(param) error) error {
	for count := 0; !c.done(); {
		if c.eat(',') {
			continue
		}
		p, ok := c.param()
		if count++; !ok || count > MaxParams {
			return malformed("Malformed Authorization")
		}
		if err := set(p); err != nil {
			return err
		}
		if c.blank(); !c.done() && !c.startsWith(',') {
			return malformed("Malformed Authorization")
		}
	}
	return nil
}

// directiveCount is how many directives are known.
const directiveCount = 9

// directive returns where a directive is kept, and its number; nil for unknown
// ones, which are ignored (RFC 7616 §3.4).
func (c *Credentials) directive(p param) (value *string, number int) {
	switch strings.ToLower(p.name) { // which copies nothing as a rule
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
	return nil, 0
}

// set stores one directive and refuses a second one of the same name.
func (c *Credentials) set(p param, seen *[directiveCount]bool) error {
	value, number := c.directive(p)
	if value == nil {
		return nil
	}
	if seen[number] {
		return malformed("Authorization Directive Given Twice")
	}
	seen[number] = true
	*value = unescapeQuoted(p.value)
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
