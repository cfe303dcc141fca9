package transaction

import (
	"hash/maphash"
	"strconv"

	"sipregd/internal/message"
)

// identity says which transaction a request belongs to.
type identity struct {
	// key is a hash that is equal for a request that came by several ways
	// (§8.2.2.2); in a dialog, for a request and its retransmissions.
	key    uint64
	merges bool   // such requests are to be merged: it belongs to no dialog
	text   []byte // equal for a request and its retransmissions (§17.2.3)
	tag    uint64 // a hash of text, for To
}

// identitySpace is room for the identity of a request as phones send it.
type identitySpace [512]byte

// identify reads a request's identity into space. The source's address is part
// of it, so that nobody gets at another's response by guessing its branch.
func (l *Layer) identify(space *identitySpace, request *message.Request) identity {
	return l.identifyAs(space, request, request.Method)
}

// identifyAs does so as if the request had that method: a CANCEL has all else
// in common with the request that it is about (§9.1).
func (l *Layer) identifyAs(space *identitySpace, request *message.Request, method string) identity {
	text := appendPart(space[:0], method)
	text = appendPart(text, request.From.Tag)
	text = appendPart(text, request.CallID)
	text = append(strconv.AppendUint(text, uint64(request.CSeq.Number), 10), 0)
	if method == "INVITE" { // a proxy may have one call ask for several, which are not the same request
		text = appendPart(text, request.URIText)
	}
	id := identity{key: maphash.Bytes(l.keys, text), merges: request.To.Tag == ""}
	address := request.Flow.Source.Addr().As16()
	text = append(text, address[:]...)
	if via := &request.Vias[0]; via.Cookie() {
		text = appendPart(text, via.Branch)
		text = appendLower(text, via.Host)
		text = strconv.AppendUint(append(text, ':'), uint64(via.Port), 10)
	} else { // a client of RFC 2543 makes no unique branches
		text = appendPart(text, request.URIText)
		text = appendPart(text, request.To.Tag)
		text = append(text, via.Text()...)
	}
	if id.text = text; !id.merges {
		id.key = maphash.Bytes(l.keys, text)
	}
	id.tag = maphash.Bytes(l.tags, text)
	return id
}

// appendPart puts a character behind the part that stands in none of them.
func appendPart(text []byte, part string) []byte { return append(append(text, part...), 0) }

func appendLower(text []byte, host string) []byte {
	for i := range len(host) {
		c := host[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		text = append(text, c)
	}
	return text
}
