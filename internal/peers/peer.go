// Package peers holds the peers of peers.conf: who may bind which
// address-of-record. Label, authname and aornames of a peer are three free
// fields; none is ever derived from another.
package peers

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"sipregd/internal/digest"
	"sipregd/internal/sipuri"
)

// Peer is one record of peers.conf. It is not changed once loaded.
type Peer struct {
	Label    string // the section's name; for people, never looked up by a request
	Authname string // the digest username
	AORs     []sipuri.AOR
	*Settings

	at     place       // where it stands
	proofs []digest.A1 // what it proves in each of its realms, then by each of its longer names
}

// place is where a section stands.
type place struct {
	file uint32 // its number, by which Directory.where knows its name
	line uint32
}

// Settings are what peers often have in common. Those of a directory that are
// equal are one.
type Settings struct {
	plainSettings
	Permit []netip.Prefix // where the peer may come from; none: from everywhere
	realms []string       // of the domains that the peer belongs to, each once
	longer []longName     // by which it may prove itself too

	CertificateNames []string // each stands for a digest where a client certificate has it
}

// plainSettings can be compared.
type plainSettings struct {
	AnyAOR bool   // aorname = *: also each AOR of Domain that no other peer names
	Domain string // that plain aornames belong to; "" where there is one for all hosts

	Algorithm digest.Algorithm // the only one it may answer with; 0: any that is offered
	Enabled   bool

	MaxContacts       int // bindings of one AOR, at least 1
	MaxAORs           int // that it has bound at once, with AnyAOR, beside those that it lists; 0: without end
	RemoveExisting    bool
	RemoveUnavailable bool   // with RemoveExisting off: bindings that are unreachable make room
	CSeqReset         bool   // it may begin to count anew with its old Call-ID
	RecognizePhone    Wish   // when a phone is known by its Call-ID, its push token or its account's number
	MinimumExpiration uint32 // seconds
	DefaultExpiration uint32 // seconds
	MaximumExpiration uint32 // seconds

	QualifyFrequency int // seconds; 0: its bindings are never asked; inifile.Auto: see QualifyEvery
	QualifyTimeout   int // seconds without an answer that make a binding unreachable

	DefaultName string // user part of the address that stands in while nothing is registered
	DefaultHost string // its host, with or without a port; empty: there is none
}

// Wish says when something is done.
type Wish uint8

// The wishes.
const (
	Auto   Wish = iota // where it is of use
	Always             // yes
	Never              // no
)

var wishes = [...]string{Auto: "auto", Always: "yes", Never: "no"}

// ParseWish reads auto, yes or no, in any case.
func ParseWish(text string) (wish Wish, known bool) {
	i := slices.Index(wishes[:], strings.ToLower(text))
	return Wish(max(i, 0)), i >= 0
}

// String returns the word that ParseWish reads.
func (w Wish) String() string { return wishes[w] }

// longName is an authname with what phones set behind it: authname@host in a realm,
// where host is the realm or a domain of it.
type longName struct{ realm, host string }

// String returns the label, and nothing that has to stay secret.
func (p Peer) String() string { return "[" + p.Label + "]" }

// A1 returns what the peer has to prove in a realm. Not known: it belongs to no
// domain with that realm.
func (p *Peer) A1(realm string) (a1 digest.A1, known bool) {
	i := slices.Index(p.realms, realm)
	if i < 0 {
		return digest.A1{}, false
	}
	return p.proofs[i], true
}

// longA1 returns what the peer has to prove in a realm as authname@host. Not known:
// it has no such name there, or its proof was given for the plain one alone.
func (p *Peer) longA1(realm, host string) (a1 digest.A1, known bool) {
	i := slices.Index(p.longer, longName{realm, host})
	if i < 0 {
		return digest.A1{}, false
	}
	return p.proofs[len(p.realms)+i], true
}

// Permits tells whether the peer may come from that address.
func (p *Peer) Permits(source netip.Addr) bool {
	if len(p.Permit) == 0 {
		return true
	}
	return Within(p.Permit, source)
}

// Within tells whether an address is in one of the networks.
func Within(networks []netip.Prefix, source netip.Addr) bool {
	source = source.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(network netip.Prefix) bool { return network.Contains(source) })
}

// autoQualify is how often a phone behind NAT is asked: most NATs forget a way over UDP
// after a minute or two, the strictest after 30 seconds.
const autoQualify = 30 * time.Second

// QualifyEvery returns how often a binding of the peer is asked whether its phone is
// there; 0: never. nat: it sits behind NAT.
func (s *Settings) QualifyEvery(nat bool) time.Duration {
	switch {
	case s.QualifyFrequency >= 0:
		return time.Duration(s.QualifyFrequency) * time.Second
	case nat:
		return autoQualify
	}
	return 0
}

// belongsTo tells whether domains holds a domain.
func (p *Peer) belongsTo(domain string, served Domains) bool {
	return p.Domain == domain || served.Primary() != "" &&
		slices.ContainsFunc(p.AORs, func(aor sipuri.AOR) bool { return aor.Domain == domain })
}

// domains returns the domains that the peer belongs to: its own and each that
// its aornames name. Where one stands for all hosts it is that one.
func (p *Peer) domains(served Domains) []string {
	domains := []string{p.Domain}
	if served.Primary() == "" {
		return domains
	}
	for _, aor := range p.AORs {
		if !slices.Contains(domains, aor.Domain) {
			domains = append(domains, aor.Domain)
		}
	}
	return domains
}
