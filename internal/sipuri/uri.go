// Package sipuri reads SIP URIs (RFC 3261 §19.1.1), compares them (§19.1.4)
// and brings an address-of-record to the form it is indexed by (§10.3 step 5).
package sipuri

import (
	"errors"
	"iter"
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

// MaxParams bounds the parameters of a URI, so that comparing each with each
// costs little.
const MaxParams = 64

var (
	errEmpty    = errors.New("empty URI")
	errScheme   = errors.New("URI without scheme")
	errOpaque   = errors.New("URI with nothing behind its scheme, or with a character that has to be escaped")
	errUser     = errors.New("malformed user part in URI")
	errHost     = errors.New("malformed host in URI")
	errPort     = errors.New("port in URI is no number from 1 to 65535")
	errParams   = errors.New("malformed URI parameter")
	errTooMany  = errors.New("more than 64 parameters in URI")
	errTwice    = errors.New("URI parameter given twice")
	errHeaders  = errors.New("malformed headers in URI")
	errTrailing = errors.New("text behind the host of the URI")
)

// Parse reads an absolute URI by RFC 3261 §25. Of schemes other than sip and
// sips only the scheme is told from the rest.
func Parse(text string) (URI, error) {
	if text == "" {
		return URI{}, errEmpty
	}
	scheme, rest, found := strings.Cut(text, ":")
	if !found || !isScheme(scheme) {
		return URI{}, errScheme
	}
	uri := URI{Scheme: strings.ToLower(scheme)}
	if !uri.IsSIP() {
		if rest == "" || !all(rest, isOpaque) {
			return URI{}, errOpaque
		}
		uri.Opaque = rest
		return uri, nil
	}
	rest, err := uri.cutUserinfo(rest)
	if err != nil {
		return URI{}, err
	}
	rest, err = uri.cutHostport(rest)
	if err != nil {
		return URI{}, err
	}
	if err := uri.setParamsAndHeaders(rest); err != nil {
		return URI{}, err
	}
	return uri, nil
}

// IsSIP tells whether the scheme is sip or sips.
func (u URI) IsSIP() bool { return u.Scheme == "sip" || u.Scheme == "sips" }

// cutUserinfo sets User and Password and returns what stands behind the "@".
func (u *URI) cutUserinfo(text string) (string, error) {
	userinfo, rest, found := strings.Cut(text, "@")
	if !found {
		return text, nil
	}
	user, password, _ := strings.Cut(userinfo, ":")
	if user == "" || !escapedText(user, isUser) || !escapedText(password, isPassword) {
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
	params, headers, hasHeaders := strings.Cut(text, "?")
	if params != "" && params[0] != ';' {
		return errTrailing
	}
	u.Params, u.Headers = params, headers
	if hasHeaders && (headers == "" || !escapedText(headers, isHeaderChar)) {
		return errHeaders
	}
	if strings.Count(params, ";") > MaxParams {
		return errTooMany
	}
	for name, value := range u.AllParams() {
		if name == "" || !escapedText(name, isParam) || !escapedText(value, isParam) {
			return errParams
		}
	}
	return u.refuseTwice()
}

// refuseTwice enforces that no parameter name stands twice (§19.1.1). Names
// are compared where their hashes are equal.
func (u *URI) refuseTwice() error {
	if strings.LastIndexByte(u.Params, ';') <= 0 { // none or one
		return nil
	}
	var names [MaxParams]string
	var hashes [MaxParams]uint32
	count := 0
	for name := range u.AllParams() {
		hash := foldedHash(name)
		for i := range count {
			if hashes[i] == hash && escapedEqualFold(names[i], name) {
				return errTwice
			}
		}
		names[count], hashes[count] = name, hash
		count++
	}
	return nil
}

// foldedHash is the same for names that escapedEqualFold finds equal (FNV-1a).
func foldedHash(text string) uint32 {
	hash := uint32(2166136261)
	for text != "" {
		var c byte
		c, _, text = nextCharacter(text)
		hash = (hash ^ uint32(lower(c))) * 16777619
	}
	return hash
}

// AllParams yields the name and value of each URI parameter in order. A
// parameter without "=" has an empty value.
func (u URI) AllParams() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for rest := u.Params; rest != ""; {
			var param string
			param, rest = cutParam(rest[1:])
			name, value, _ := strings.Cut(param, "=")
			if !yield(name, value) {
				return
			}
		}
	}
}

// cutParam splits off the text before the next ";", which stays in the rest.
func cutParam(text string) (param, rest string) {
	if i := strings.IndexByte(text, ';'); i >= 0 {
		return text[:i], text[i:]
	}
	return text, ""
}

// Param returns the value of the URI parameter of that name, compared without
// regard to case and escapes.
func (u URI) Param(name string) (value string, found bool) {
	for n, v := range u.AllParams() {
		if escapedEqualFold(n, name) {
			return v, true
		}
	}
	return "", false
}

// String returns the URI as it was written, with the scheme in lower case.
func (u URI) String() string {
	if !u.IsSIP() {
		return u.Scheme + ":" + u.Opaque
	}
	var b strings.Builder
	b.WriteString(u.Scheme)
	b.WriteByte(':')
	if u.User != "" {
		b.WriteString(u.User)
		if u.Password != "" {
			b.WriteByte(':')
			b.WriteString(u.Password)
		}
		b.WriteByte('@')
	}
	b.WriteString(u.Host)
	if u.Port != 0 {
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(int(u.Port)))
	}
	b.WriteString(u.Params)
	if u.Headers != "" {
		b.WriteByte('?')
		b.WriteString(u.Headers)
	}
	return b.String()
}

// ParsePort reads a port number from 1 to 65535.
func ParsePort(text string) (uint16, error) {
	if text == "" || !all(text, isDigit) {
		return 0, errPort
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, errPort
	}
	return uint16(port), nil
}
