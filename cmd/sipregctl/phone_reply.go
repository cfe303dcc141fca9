package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// reply is a response.
type reply struct {
	*sip.Response
	raw string
}

// newParser reads of a response what tells which request it answers, and leaves
// the other header fields as text: a binding of somebody else's that is odd must
// not hide a 200.
func newParser() *sip.Parser {
	all, some := sip.DefaultHeadersParser(), map[string]sip.HeaderParser{}
	for _, name := range []string{"via", "v", "cseq", "content-length", "l"} {
		some[name] = all[name]
	}
	return sip.NewParser(sip.WithHeadersParsers(some))
}

// parseReply reads a response with one Via, since a phone has no other.
func parseReply(parser *sip.Parser, raw []byte) (*reply, error) {
	message, err := parser.ParseSIP(raw)
	if err != nil {
		return nil, err
	}
	response, ok := message.(*sip.Response)
	switch {
	case !ok:
		return nil, errors.New("it is a request")
	case response.StatusCode < 100 || response.StatusCode > 699:
		return nil, errors.New("its status is not from 100 to 699")
	case response.Via() == nil || response.CSeq() == nil:
		return nil, errors.New("it has no Via or no CSeq")
	}
	return &reply{response, string(raw)}, nil
}

// answers tells whether the response is to that request (RFC 3261 §17.1.3).
func (r *reply) answers(q *request) bool {
	branch, _ := r.Via().Params.Get("branch")
	return branch == q.branch && r.CSeq().SeqNo == q.cseq && r.CSeq().MethodName == sip.REGISTER
}

// seenFrom is where the server says that the request came from, empty where it
// does not or where it is where the phone is.
func (r *reply) seenFrom(q *request) string {
	host, _ := r.Via().Params.Get("received")
	port, _ := r.Via().Params.Get("rport")
	if host == "" {
		host = q.local.Addr().String()
	}
	if port == "" {
		port = strconv.Itoa(int(q.local.Port()))
	}
	if seen := bracketed(strings.Trim(host, "[]")) + ":" + port; seen != q.local.String() {
		return seen
	}
	return ""
}

// values are all values of a header field, by its name or its short form.
func (r *reply) values(names ...string) (values []string) {
	for _, header := range r.Headers() {
		if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, header.Name()) }) {
			values = append(values, header.Value())
		}
	}
	return values
}

// seconds reads a header field that holds a time; what stands behind the number
// is a comment or a parameter.
func (r *reply) seconds(name string) (uint32, bool) {
	for _, value := range r.values(name) {
		end := strings.IndexFunc(value, func(c rune) bool { return c < '0' || c > '9' })
		if end < 0 {
			end = len(value)
		}
		if seconds, err := strconv.ParseUint(value[:end], 10, 32); err == nil {
			return uint32(seconds), true
		}
	}
	return 0, false
}

// binding is a Contact that a response lists.
type binding struct {
	URI     string  `json:"uri"`
	Expires *uint32 `json:"expires,omitempty"`
}

// bindings are the Contacts that the response lists.
func (r *reply) bindings() (bindings []binding) {
	for _, field := range r.values("Contact", "m") {
		for value := range splitValues(field) {
			if b := readBinding(value); b.URI != "" {
				bindings = append(bindings, b)
			}
		}
	}
	return bindings
}

// splitValues cuts at the commas that stand in no quotes and no brackets.
func splitValues(field string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start, quoted, within := 0, false, false
		for i := 0; i < len(field); i++ {
			switch c := field[i]; {
			case quoted && c == '\\':
				i++
			case c == '"' && !within:
				quoted = !quoted
			case quoted:
			case c == '<' || c == '>':
				within = c == '<'
			case c == ',' && !within:
				if !yield(field[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(field[start:])
	}
}

// readBinding reads one Contact value (RFC 3261 §20.10).
func readBinding(value string) (b binding) {
	uri, params, _ := strings.Cut(value, ";")
	if open := strings.LastIndexByte(value, '<'); open >= 0 {
		uri, params, _ = strings.Cut(value[open+1:], ">")
	}
	b.URI = strings.TrimSpace(uri)
	for param := range strings.SplitSeq(params, ";") {
		name, text, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "expires") {
			continue
		}
		if seconds, err := strconv.ParseUint(strings.Trim(text, ` "`), 10, 32); err == nil {
			granted := uint32(seconds)
			b.Expires = &granted
		}
	}
	return b
}

// sameContact tells whether a binding is that of a URI. Servers that rewrite
// parameters are forgiven.
func sameContact(a, b string) bool {
	var first, second sip.Uri
	if sip.ParseUri(a, &first) != nil || sip.ParseUri(b, &second) != nil {
		return a == b
	}
	return first.User == second.User && strings.EqualFold(first.Host, second.Host) && first.Port == second.Port
}
