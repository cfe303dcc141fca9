package transaction

import (
	"strconv"
	"strings"

	"sipregd/internal/message"
)

// identity says which transaction a request belongs to.
type identity struct {
	transaction string // equal for a request and its retransmissions (§17.2.3)
	request     string // equal for a request that came by several ways; empty: in a dialog (§8.2.2.2)
}

// identify reads a request's identity. The source's address is part of it, so
// that nobody gets at another's response by guessing its branch.
func identify(request *message.Request) identity { return identifyAs(request, request.Method) }

// identifyAs does so as if the request had that method: a CANCEL has all else
// in common with the request that it is about (§9.1).
func identifyAs(request *message.Request, method string) identity {
	via := &request.Vias[0]
	cseq := strconv.FormatUint(uint64(request.CSeq.Number), 10)
	id := identity{}
	if request.To.Tag == "" {
		id.request = join(request.From.Tag, request.CallID, cseq, method)
	}
	address := request.Flow.Source.Addr().As16()
	source := string(address[:])
	if via.Cookie() {
		sentBy := strings.ToLower(via.Host) + ":" + strconv.Itoa(int(via.Port))
		id.transaction = join(method, source, via.Branch, sentBy)
		return id
	}
	// A client of RFC 2543 makes no unique branches.
	id.transaction = join(method, source, request.URIText, request.To.Tag,
		request.From.Tag, request.CallID, cseq, via.Text())
	return id
}

// join puts a character between the parts that stands in none of them.
func join(parts ...string) string { return strings.Join(parts, "\x00") }
