package shared

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"sipregd/internal/location"
)

// record is what stands in the field of a binding behind its expiry.
type record struct {
	Contact   string         `json:"contact"`
	Params    string         `json:"params,omitempty"`
	Q         string         `json:"q,omitempty"`
	CallID    string         `json:"call_id"`
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
}

// usualRecord is as many bytes as few records exceed.
const usualRecord = 512

// maxRecord bounds a record that is read, in bytes.
const maxRecord = 1 << 16

var errRecord = errors.New("a field that is no binding")

// encode returns the record of a binding, without its ID and expiry.
func encode(b *location.Binding, changed time.Time) string {
	var text strings.Builder
	text.Grow(usualRecord)
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	_ = e.Encode(&record{ // which cannot fail
		b.Contact, b.Params, b.Q, b.CallID, b.CSeq, changed.UnixMilli(), b.Domain, b.Authname, b.Label,
		b.UserAgent, b.Transport, b.Source, b.Local, b.Stream, b.Path, b.NAT, b.Node,
	})
	return strings.TrimSuffix(text.String(), "\n")
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
	return location.Binding{
		ID: id, Contact: r.Contact, Params: r.Params, Q: r.Q, CallID: r.CallID, CSeq: r.CSeq,
		Expires: time.UnixMilli(milli).UTC(), Changed: time.UnixMilli(r.Changed).UTC(),
		Domain: r.Domain, Authname: r.Authname, Label: r.Label, UserAgent: r.UserAgent, Transport: r.Transport,
		Source: r.Source, Local: r.Local, Stream: r.Stream, Path: r.Path, NAT: r.NAT, Node: r.Node,
	}, nil
}
