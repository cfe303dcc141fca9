package shared

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sipregd/internal/location"
)

// record is what stands in the field of a binding behind its expiry.
type record struct {
	Contact   string         `json:"contact"`
	Params    string         `json:"params,omitempty"`
	Q         string         `json:"q,omitempty"`
	CallID    string         `json:"call_id,omitempty"`
	CSeq      uint32         `json:"cseq"`
	Changed   int64          `json:"changed"` // ms since 1970 by Redis's clock
	Domain    string         `json:"domain,omitempty"`
	Authname  string         `json:"authname,omitempty"`
	Label     string         `json:"label,omitempty"`
	UserAgent string         `json:"user_agent,omitempty"`
	Transport string         `json:"transport,omitempty"`
	Source    netip.AddrPort `json:"source,omitzero"`
	Local     netip.AddrPort `json:"local,omitzero"`
	Stream    uint64         `json:"stream,omitempty"`
	Path      string         `json:"path,omitempty"`
	NAT       bool           `json:"nat,omitempty"`
	Node      string         `json:"node,omitempty"`
	Latin1    bool           `json:"latin1,omitempty"` // each character stands for a byte
}

// maxRecord bounds a record that is read, in bytes.
const maxRecord = 1 << 16

var errRecord = errors.New("a field that is no binding")

// encode returns the record of a binding, without its ID and expiry.
func encode(b *location.Binding, changed time.Time) string {
	const usual = 512 // bytes, which few records exceed
	var space [usual]byte
	o := beginObject(space[:0], !isUTF8(b))
	o.text("contact", b.Contact)
	o.text("params", b.Params)
	o.text("q", b.Q)
	o.text("call_id", b.CallID)
	o.number("cseq", int64(b.CSeq))
	o.number("changed", changed.UnixMilli())
	o.text("domain", b.Domain)
	o.text("authname", b.Authname)
	o.text("label", b.Label)
	o.text("user_agent", b.UserAgent)
	o.text("transport", b.Transport)
	o.address("source", b.Source)
	o.address("local", b.Local)
	o.count("stream", b.Stream)
	o.text("path", b.Path)
	o.isSo("nat", b.NAT)
	o.text("node", b.Node)
	o.isSo("latin1", o.latin1)
	return o.end()
}

// isUTF8 tells whether all texts are UTF-8. Phones may send what is not.
func isUTF8(b *location.Binding) bool {
	for _, text := range [...]string{b.Contact, b.Params, b.Q, b.CallID, b.Domain, b.Authname, b.Label, b.UserAgent,
		b.Transport, b.Path, b.Node} {
		if !utf8.ValidString(text) {
			return false
		}
	}
	return true
}

// decode reads a field. The binding has the times of Redis's clock.
func decode(field, value string) (location.Binding, error) {
	id, err := strconv.ParseUint(field, 10, 64)
	expires, text, found := strings.Cut(value, " ")
	if err != nil || id == 0 || !found || len(text) > maxRecord {
		return location.Binding{}, errRecord
	}
	milli, err := strconv.ParseInt(expires, 10, 64)
	if err != nil {
		return location.Binding{}, errRecord
	}
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil || r.Contact == "" {
		return location.Binding{}, errRecord
	}
	if r.Latin1 && !r.toBytes() {
		return location.Binding{}, errRecord
	}
	return location.Binding{
		ID: id, Contact: r.Contact, Params: r.Params, Q: r.Q, CallID: r.CallID, CSeq: r.CSeq,
		Expires: time.UnixMilli(milli).UTC(), Changed: time.UnixMilli(r.Changed).UTC(),
		Domain: r.Domain, Authname: r.Authname, Label: r.Label, UserAgent: r.UserAgent, Transport: r.Transport,
		Source: r.Source, Local: r.Local, Stream: r.Stream, Path: r.Path, NAT: r.NAT, Node: r.Node,
	}, nil
}

// toBytes makes texts of their bytes. It fails where a character stands for none.
func (r *record) toBytes() bool {
	for _, text := range [...]*string{&r.Contact, &r.Params, &r.Q, &r.CallID, &r.Domain, &r.Authname, &r.Label,
		&r.UserAgent, &r.Transport, &r.Path, &r.Node} {
		bytes := make([]byte, 0, len(*text))
		for _, c := range *text {
			if c > 0xff {
				return false
			}
			bytes = append(bytes, byte(c))
		}
		*text = string(bytes)
	}
	return true
}
