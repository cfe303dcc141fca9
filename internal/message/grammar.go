package message

import (
	"github.com/emiago/sipgo/sip"
)

// field is a header field read by the grammar of this package: sipgo's header
// with its text, folded lines joined, and the value that was read in it.
type field[T any] struct {
	sip.Header
	value T
}

// reader makes sipgo's parser read a header field with parse.
func reader[T any](name string, parse func(text string) (T, error)) sip.HeaderParser {
	return func(_ []byte, text string) (sip.Header, error) {
		value, err := parse(text)
		if err != nil {
			return nil, err
		}
		return field[T]{sip.NewHeader(name, text), value}, nil
	}
}

// Values of different header fields have types of their own, so that a type
// switch tells them apart.
type (
	fromValue         Address
	toValue           Address
	callIDValue       string
	expiresValue      Expires
	requireValue      []string
	proxyRequireValue []string
	supportedValue    []string
)

// headerReaders is the grammar of all header fields that a registrar reads,
// by their names and compact forms in lower case. Other header fields stay
// text.
func headerReaders() sip.HeadersParser {
	via := reader("Via", func(text string) ([]Via, error) { return parseVias(nil, text) })
	from := reader("From", func(text string) (fromValue, error) {
		a, err := parseAddress("From", text)
		return fromValue(a), err
	})
	to := reader("To", func(text string) (toValue, error) {
		a, err := parseAddress("To", text)
		return toValue(a), err
	})
	contact := reader("Contact", func(text string) (Contacts, error) { return parseContacts(nil, text) })
	callID := reader("Call-ID", func(text string) (callIDValue, error) {
		id, err := parseCallID(text)
		return callIDValue(id), err
	})
	supported := reader("Supported", func(text string) (supportedValue, error) { return parseOptionTags(nil, text) })
	return sip.HeadersParser{
		"via": via, "v": via,
		"from": from, "f": from,
		"to": to, "t": to,
		"contact": contact, "m": contact,
		"call-id": callID, "i": callID,
		"supported": supported, "k": supported,
		"path":          reader("Path", parsePath),
		"cseq":          reader("CSeq", parseCSeq),
		"authorization": reader("Authorization", parseCredentials),
		"expires": reader("Expires", func(text string) (expiresValue, error) {
			return expiresValue(parseExpires(text)), nil
		}),
		"require":       reader("Require", func(text string) (requireValue, error) { return parseOptionTags(nil, text) }),
		"proxy-require": reader("Proxy-Require", func(text string) (proxyRequireValue, error) { return parseOptionTags(nil, text) }),
	}
}
