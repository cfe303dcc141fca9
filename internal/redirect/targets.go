package redirect

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

const (
	// amplification is how many bytes an answer may have for each of its request, where
	// the caller may not be there.
	amplification = 3

	// aroundContacts is about what it has beside Contacts and what it copies of the request.
	aroundContacts = 160
)

// targets returns the bindings that a caller can follow, in the order in which he should,
// and what is to be said of those that are left out.
func (c *call) targets(bindings []location.Binding) (targets []location.Binding, left string) {
	for i := range bindings {
		b := &bindings[i]
		switch uri, err := sipuri.Parse(b.Contact); {
		case err != nil:
		case uri.Equal(c.request.URI): // §8.3: a URI leads to itself
			left = "; its Contact is what was called"
		case isNowhere(uri.Host): // RFC 7118 §5: just its own connection leads there
			left = "; its phone is reached by its connection alone"
		case c.request.URI.Scheme == "sips" && uri.Scheme != "sips": // RFC 5630 §5.3
			left = "; it has no Contact of sips:"
		default:
			targets = append(targets, *b)
		}
	}
	c.sort(targets)
	if fitting := c.fitting(targets); len(fitting) < len(targets) {
		targets, left = fitting, "; there are more Contacts than fit into three times its bytes over UDP"
	}
	return targets, left
}

// fitting returns those of targets that a caller can be told who may not be there.
func (c *call) fitting(targets []location.Binding) []location.Binding {
	if c.isReached() {
		return targets
	}
	var space [512]byte
	room := amplification*c.request.Length - c.request.Length - aroundContacts
	for i := range targets {
		if room -= len("Contact: \r\n") + len(appendContact(space[:0], &targets[i], c.now)); room < 0 {
			return targets[:i]
		}
	}
	return targets
}

// isNowhere tells whether a host has no address anywhere (RFC 2606 §2).
func isNowhere(host string) bool {
	return strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".invalid")
}

// sort puts bindings whose phones do not answer last, and before them that one first which
// its phone prefers (q), or has changed last.
func (c *call) sort(targets []location.Binding) {
	type target struct {
		location.Binding
		unreachable bool
		q           float64
	}
	list := make([]target, len(targets))
	for i := range targets {
		list[i] = target{targets[i], c.IsUnreachable(&targets[i]), preference(targets[i].Q)}
	}
	slices.SortStableFunc(list, func(a, b target) int {
		switch {
		case a.unreachable != b.unreachable && b.unreachable:
			return -1
		case a.unreachable != b.unreachable:
			return 1
		}
		return cmp.Or(cmp.Compare(b.q, a.q), b.Changed.Compare(a.Changed))
	})
	for i := range list {
		targets[i] = list[i].Binding
	}
}

// preference returns what q says, 1 where it says nothing: the RFCs leave that open.
func preference(q string) float64 {
	value, err := strconv.ParseFloat(q, 64)
	if err != nil {
		return 1
	}
	return value
}

// appendContact appends a binding as a value of Contact, which lasts as long as the binding
// (§20.10). A redirect server cannot add the Route that a Path asks for (RFC 3327 §5.5): it
// stands in the URI as a header (§19.1.1), for callers that follow it. What tells of the
// phone, such as its instance ID, is not told to callers.
func appendContact(text []byte, b *location.Binding, now time.Time) []byte {
	text = append(append(text, '<'), b.Contact...)
	if b.Path != "" {
		mark := byte('?')
		if strings.IndexByte(b.Contact, '?') >= 0 {
			mark = '&'
		}
		text = append(append(text, mark), "Route="...)
		text = sipuri.AppendEscapedHeader(text, b.Path)
	}
	text = append(text, '>')
	if b.Q != "" {
		text = append(append(text, ";q="...), b.Q...)
	}
	return strconv.AppendInt(append(text, ";expires="...), b.Remaining(now), 10)
}
