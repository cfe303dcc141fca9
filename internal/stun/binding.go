package stun

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// Types of messages (RFC 8489 §5): a Binding request and its responses.
const (
	bindingRequest = 0x0001
	bindingSuccess = 0x0101
	bindingError   = 0x0111
)

const (
	headerSize = 20
	cookie     = 0x2112A442 // what RFC 3489 had not; who lacks it is not answered

	// maxRequest is as much as a client sends that does not know the path (§6.1). It
	// bounds how long a list of unknown attributes gets.
	maxRequest = 548
)

// Attributes (§18.3). Those below optional have to be understood.
const (
	mappedAddress     = 0x0001
	username          = 0x0006
	messageIntegrity  = 0x0008
	errorCode         = 0x0009
	unknownAttributes = 0x000A
	realm             = 0x0014
	nonce             = 0x0015
	integritySHA256   = 0x001C
	passwordAlgorithm = 0x001D
	userhash          = 0x001E
	xorMappedAddress  = 0x0020
	optional          = 0x8000
	fingerprint       = 0x8028
)

// isBindingRequest tells a Binding request from SIP, and from STUN that nobody is to
// answer: indications, responses, other methods (§6.3).
func isBindingRequest(data []byte) bool {
	return len(data) >= headerSize && len(data) <= maxRequest &&
		binary.BigEndian.Uint16(data) == bindingRequest &&
		binary.BigEndian.Uint32(data[4:]) == cookie &&
		int(binary.BigEndian.Uint16(data[2:])) == len(data)-headerSize
}

// respond appends the response to a Binding request to room, or returns nil for one
// that is to be dropped. Nobody gains by a forged source: a response has 1.6 times
// the bytes of its request over IPv4, 2.2 over IPv6, and 2.4 at most, with one
// unknown attribute.
func respond(room, request []byte, source netip.AddrPort) []byte {
	unknown, sound := review(request)
	switch {
	case !sound:
		return nil
	case unknown > 0:
		return appendUnknown(room, request, unknown)
	}
	return appendSuccess(room, request, source)
}

// review counts the attributes that have to be understood and are not (§6.3.1), and
// tells whether all are in order.
func review(request []byte) (unknown int, sound bool) {
	for rest := request[headerSize:]; len(rest) > 0; {
		attribute, value, next, ok := cut(rest)
		if !ok {
			return 0, false
		}
		if attribute == fingerprint && !isFingerprint(value, request[:len(request)-len(rest)], next) {
			return 0, false
		}
		if !isUnderstood(attribute) {
			unknown++
		}
		rest = next
	}
	return unknown, true
}

// cut splits the first attribute off (§14): values are padded to four bytes.
func cut(attributes []byte) (attribute uint16, value, rest []byte, ok bool) {
	if len(attributes) < 4 {
		return 0, nil, nil, false
	}
	attribute, length := binary.BigEndian.Uint16(attributes), int(binary.BigEndian.Uint16(attributes[2:]))
	attributes = attributes[4:]
	if padded(length) > len(attributes) {
		return 0, nil, nil, false
	}
	return attribute, attributes[:length], attributes[padded(length):], true
}

func padded(length int) int { return (length + 3) &^ 3 }

// isFingerprint checks one that a request has without need (§14.7): nothing comes
// behind it.
func isFingerprint(value, before, behind []byte) bool {
	return len(value) == 4 && len(behind) == 0 &&
		binary.BigEndian.Uint32(value) == crc32.ChecksumIEEE(before)^0x5354554E
}

// isUnderstood tells what a request may have. Credentials are not looked at, since
// none are asked for (RFC 5626 §8); what has no place in a request is ignored (§6.3).
func isUnderstood(attribute uint16) bool {
	switch attribute {
	case username, messageIntegrity, realm, nonce, integritySHA256, passwordAlgorithm, userhash,
		mappedAddress, xorMappedAddress, errorCode, unknownAttributes:
		return true
	}
	return attribute >= optional
}

// appendSuccess tells where the request has come from (§14.2). The address is mixed
// with the cookie and the transaction, or some NATs would change it.
func appendSuccess(room, request []byte, source netip.AddrPort) []byte {
	var space [16]byte
	address, family := space[:], byte(2)
	if source.Addr().Is4() {
		four := source.Addr().As4()
		address, family = append(space[:0], four[:]...), 1
	} else {
		space = source.Addr().As16()
	}
	mask := request[4:headerSize]
	for i := range address {
		address[i] ^= mask[i]
	}
	response := appendHeader(room, bindingSuccess, request, 8+len(address))
	response = appendAttribute(response, xorMappedAddress, 4+len(address))
	response = append(response, 0, family)
	response = binary.BigEndian.AppendUint16(response, source.Port()^uint16(cookie>>16))
	return append(response, address...)
}

// appendUnknown refuses a request for attributes that are not understood (§14.8, §14.9).
func appendUnknown(room, request []byte, count int) []byte {
	const reason = "\x00\x00\x04\x14Unknown Attribute" // 420
	size := 4 + padded(len(reason)) + 4 + padded(2*count)
	response := appendHeader(room, bindingError, request, size)
	response = appendAttribute(response, errorCode, len(reason))
	response = append(append(response, reason...), 0, 0, 0)
	response = appendAttribute(response, unknownAttributes, 2*count)
	for rest := request[headerSize:]; len(rest) > 0; {
		attribute, _, next, _ := cut(rest)
		if !isUnderstood(attribute) {
			response = binary.BigEndian.AppendUint16(response, attribute)
		}
		rest = next
	}
	if count%2 == 1 {
		response = append(response, 0, 0)
	}
	return response
}

// appendHeader begins a response (§5), with so many bytes of attributes.
func appendHeader(room []byte, kind uint16, request []byte, size int) []byte {
	room = binary.BigEndian.AppendUint16(room, kind)
	room = binary.BigEndian.AppendUint16(room, uint16(size))
	return append(room, request[4:headerSize]...)
}

func appendAttribute(room []byte, attribute uint16, length int) []byte {
	room = binary.BigEndian.AppendUint16(room, attribute)
	return binary.BigEndian.AppendUint16(room, uint16(length))
}
