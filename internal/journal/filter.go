package journal

import (
	"net/netip"
	"slices"
	"strings"
)

// Filter picks events. The zero Filter picks all.
type Filter struct {
	// Kinds are those to pick; none: all. A stale nonce, which phones get over by
	// themselves, is picked just with what is routine.
	Kinds []Kind

	name   string       // an AOR, its user part, an authname or a label; empty: any
	source netip.Prefix // where it may come from; not valid: from everywhere
	also   func(*Event) bool
}

// NewFilter picks the events of a name, which is an AOR, with or without sip: and
// its domain, an authname, or a label; or of an address or network. The empty name
// picks all.
func NewFilter(name string, kinds ...Kind) Filter {
	f := Filter{Kinds: kinds, name: strings.TrimPrefix(strings.TrimPrefix(name, "sips:"), "sip:")}
	if address, err := netip.ParseAddr(name); err == nil {
		f.source = netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen())
	} else if network, err := netip.ParsePrefix(name); err == nil {
		f.source = network.Masked()
	}
	return f
}

// Or returns a filter that picks besides what also tells of, and that alone in the
// place of all. also must not keep an event's texts.
func (f Filter) Or(also func(*Event) bool) Filter {
	f.also = also
	return f
}

// Picks tells whether the filter picks an event.
func (f *Filter) Picks(e *Event) bool {
	if len(f.Kinds) > 0 && (!slices.Contains(f.Kinds, e.Kind) || !f.follows(e.class())) {
		return false
	}
	if f.also != nil && f.also(e) {
		return true
	}
	if f.name == "" {
		return f.also == nil
	}
	return f.names(e) || f.source.IsValid() && f.source.Contains(e.Source.Addr())
}

func (f *Filter) names(e *Event) bool {
	if f.name == e.AOR.User || f.name == e.Authname || strings.EqualFold(f.name, e.Label) {
		return true
	}
	user, domain, hasDomain := strings.Cut(f.name, "@")
	return hasDomain && user == e.AOR.User && (e.AOR.Domain == "" || strings.EqualFold(domain, e.AOR.Domain))
}

// follows tells whether the filter may pick events of a class.
func (f *Filter) follows(c class) bool {
	return c < routine || c == routine && (len(f.Kinds) == 0 || slices.ContainsFunc(f.Kinds, isRoutine))
}
