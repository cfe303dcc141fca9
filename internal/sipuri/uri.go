// Package sipuri reads SIP URIs (RFC 3261 §19.1.1), compares them (§19.1.4)
// and brings an address-of-record to the form it is indexed by (§10.3 step 5).
package sipuri

import (
	"errors"
	"strconv"
	"strings"
)

// URI is a parsed URI. Its strings are parts of the text it was parsed from,
// as they were written, escapes included. The zero value is no valid URI.
type URI struct {
	Scheme   string // in lower case: "sip", "sips", "tel", …
	User     string // empty where the URI has no userinfo
	Password string
	Host     string // a name, an IPv4 address, or an IPv6 address in brackets
	Port     uint16 // 0: not written
	Params   string // ";name=value" repeated, empty where there are none
	Headers  string // what stands behind "?"
	Opaque   string // of schemes other than sip and sips: all behind the colon
}

// What a URI may hold, so that comparing each with each costs little.
const (
	MaxParams  = 64
	MaxHeaders = 16
)

var (
	errEmpty       = errors.New("empty URI")
	errScheme      = errors.New("URI without scheme")
	errOpaque      = errors.New("URI with nothing behind its scheme, or with a character that has to be escaped")
	errUser        = errors.New("malformed user part in URI")
	errHost        = errors.New("malformed host in URI")
	errPort        = errors.New("port in URI is no number from 1 to 65535")
	errParams      = errors.New("malformed URI parameter")
	errParamsMany  = errors.New("more than 64 parameters in URI")
	errTwice       = errors.New("URI parameter given twice")
	errHeaders     = errors.New("malformed headers in URI")
	errHeadersMany = errors.New("more than 16 headers in URI")
	errTrailing    = errors.New("text behind the host of the URI")
)

// Parse reads an absolute URI by RFC 3261 §25. Of schemes other than sip and
// sips only the scheme is told from the rest.
func Parse(text string) (URI, error) {
	var u URI
	if err := u.Set(text); err != nil {
		return URI{}, err
	}
	return u, nil
}

// Set makes the zero value the URI that Parse returns. After an error it is of no
// use.
func (u *URI) Set(text string) error {
	if text == "" {
		return errEmpty
	}
	colon := strings.IndexByte(text, ':')
	if colon < 0 || text[:colon] != "sip" && !isScheme(text[:colon]) {
		return errScheme
	}
	u.Scheme = text[:colon]
	rest := text[colon+1:]
	if u.Scheme != "sip" { // as a rule it is
		u.Scheme = strings.ToLower(u.Scheme)
	}
	if !u.IsSIP() {
		if u.Opaque = rest; rest == "" || !allOf(rest, classOpaque) {
			return errOpaque
		}
		return nil
	}
	rest, err := u.cutUserinfo(rest)
	if err == nil {
		rest, err = u.cutHostport(rest)
	}
	if err != nil {
		return err
	}
	return u.setParamsAndHeaders(rest)
}

// IsSIP tells whether the scheme is sip or sips.
func (u URI) IsSIP() bool { return u.Scheme == "sip" || u.Scheme == "sips" }

// cutUserinfo sets User and Password and returns what stands behind the "@".
func (u *URI) cutUserinfo(text string) (string, error) {
	at := 0
	for at < len(text) && classes[text[at]]&classUser != 0 {
		at++
	}
	if at > 0 && at < len(text) && text[at] == '@' { // as a rule
		u.User = text[:at]
		return text[at+1:], nil
	}
	if at = strings.IndexByte(text, '@'); at < 0 {
		return text, nil
	}
	user, rest, password := text[:at], text[at+1:], ""
	if colon := strings.IndexByte(user, ':'); colon >= 0 {
		user, password = user[:colon], user[colon+1:]
	}
	if user == "" || !escapedText(user, classUser) || !escapedText(password, classPassword) {
		return "", errUser
	}
	u.User, u.Password = user, password
	return rest, nil
}

// cutHostport sets Host and Port and returns what stands behind them.
func (u *URI) cutHostport(text string) (string, error) {
	end := hostLength(text)
	if end == 0 || !IsHost(text[:end]) {
		return "", errHost
	}
	u.Host, text = text[:end], text[end:]
	if !strings.HasPrefix(text, ":") {
		return text, nil
	}
	end = 1
	for end < len(text) && isDigit(text[end]) {
		end++
	}
	port, err := ParsePort(text[1:end])
	if err != nil {
		return "", err
	}
	u.Port = port
	return text[end:], nil
}

// setParamsAndHeaders takes what stands behind the host and port.
func (u *URI) setParamsAndHeaders(text string) error {
	if text == "" { // as a rule
		return nil
	}
	params, headers, hasHeaders := strings.Cut(text, "?")
	if params != "" && params[0] != ';' {
		return errTrailing
	}
	u.Params, u.Headers = params, headers
	if hasHeaders && (headers == "" || !escapedText(headers, classHeader)) {
		return errHeaders
	}
	if strings.Count(headers, "&") >= MaxHeaders {
		return errHeadersMany
	}
	if strings.Count(params, ";") > MaxParams {
		return errParamsMany
	}
	return u.checkParams()
}

// checkParams checks the grammar of the parameters and that no name stands twice
// (§19.1.1).
func (u *URI) checkParams() error {
	if u.Params == "" { // as a rule
		return nil
	}
	if one := u.Params[1:]; strings.IndexByte(one, ';') < 0 { // as a rule
		name, value, _ := strings.Cut(one, "=")
		return checkPair(name, value)
	}
	var room [usualPairs]pair
	params := u.params(room[:0])
	for i := range params {
		p := &params[i]
		if err := checkPair(p.name, p.value); err != nil {
			return err
		}
		if find(params[:i], p) != nil {
			return errTwice
		}
	}
	return nil
}

// checkPair checks the grammar of a parameter.
func checkPair(name, value string) error {
	if name == "" || !escapedText(name, classParam) || !escapedText(value, classParam) {
		return errParams
	}
	return nil
}

// ParsePort reads a port number from 1 to 65535.
func ParsePort(text string) (uint16, error) {
	if text == "" || !allOf(text, classDigit) {
		return 0, errPort
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, errPort
	}
	return uint16(port), nil
}
