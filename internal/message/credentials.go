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
	return credentials, c.directives(credentials.set())
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

// set returns a function that stores one directive and refuses a second one
// of the same name. Unknown directives are ignored (RFC 7616 §3.4).
func (c *Credentials) set() func(param) error {
	directives := [...]struct {
		name  string
		value *string
	}{
		{"username", &c.Username}, {"realm", &c.Realm}, {"nonce", &c.Nonce},
		{"uri", &c.URI}, {"response", &c.Response}, {"algorithm", &c.Algorithm},
		{"cnonce", &c.CNonce}, {"qop", &c.QOP}, {"nc", &c.NC},
	}
	var seen [len(directives)]bool
	return func(p param) error {
		for i, directive := range directives {
			if !p.is(directive.name) {
				continue
			}
			if seen[i] {
				return malformed("Authorization Directive Given Twice")
			}
			seen[i] = true
			*directive.value = unescapeQuoted(p.value)
		}
		return nil
	}
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
