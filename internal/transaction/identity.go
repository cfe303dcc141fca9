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
func identify(request *message.Request) identity {
	via := &request.Vias[0]
	cseq := strconv.FormatUint(uint64(request.CSeq.Number), 10)
	id := identity{}
	if request.To.Tag == "" {
		id.request = join(request.From.Tag, request.CallID, cseq, request.Method)
	}
	address := request.Flow.Source.Addr().As16()
	source := string(address[:])
	if via.Cookie() {
		sentBy := strings.ToLower(via.Host) + ":" + strconv.Itoa(int(via.Port))
		id.transaction = join(request.Method, source, via.Branch, sentBy)
		return id
	}
	// A client of RFC 2543 makes no unique branches.
	id.transaction = join(request.Method, source, request.URIText, request.To.Tag,
		request.From.Tag, request.CallID, cseq, via.Text())
	return id
}

// cancels returns the identity of the request that a CANCEL is about. Only
// REGISTER has transactions here.
func (id identity) cancels() identity {
	return identity{transaction: "REGISTER" + strings.TrimPrefix(id.transaction, "CANCEL")}
}

// join puts a character between the parts that stands in none of them.
func join(parts ...string) string { return strings.Join(parts, "\x00") }
