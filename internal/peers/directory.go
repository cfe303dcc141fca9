package peers

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"sipregd/internal/digest"
	"sipregd/internal/sipuri"
)

// Directory is all peers at one time. It is not changed once loaded, so that
// many goroutines may read it.
type Directory struct {
	domains    Domains
	files      []string // where the peers stand
	peers      []Peer   // in the order of the files
	byAuthname index[identity]
	named      index[sipuri.AOR] // by some peer, "*" aside
	namesHosts bool              // some peer names an AOR with a host where one domain stands for all

	standIns index[sipuri.AOR] // of AORs: the first peer that has a stand-in for it
	anyAOR   map[string]uint32 // of domains: the first peer that may bind each AOR that nobody names

	byCertificate map[certificateKey][]uint32 // places of peers, rising; nil where none has a certificate's name
}

// identity is what a peer is known by: authnames are unique within a domain.
type identity struct {
	domain, authname string
}

func newDirectory(domains Domains) *Directory {
	return &Directory{domains: domains, byAuthname: newIndex[identity](), named: newIndex[sipuri.AOR](),
		standIns: newIndex[sipuri.AOR](), anyAOR: map[string]uint32{}}
}

// reserve makes room for so many more peers with an AOR each.
func (d *Directory) reserve(peers int) {
	d.peers = slices.Grow(d.peers, peers)
	d.byAuthname.reserve(peers)
	d.named.reserve(peers)
}

// trim gives back the room for more peers that many small files leave.
func (d *Directory) trim() {
	if room := cap(d.peers) - len(d.peers); room > len(d.peers)/16 {
		d.peers = append([]Peer(nil), d.peers...)
	}
}

// where returns file:line.
func (d *Directory) where(at place) string { return fmt.Sprintf("%s:%d", d.files[at.file], at.line) }

// Len returns how many peers there are, disabled ones included.
func (d *Directory) Len() int { return len(d.peers) }

// All yields the peers as they stand in the files.
func (d *Directory) All() iter.Seq[*Peer] {
	return func(yield func(*Peer) bool) {
		for i := range d.peers {
			if !yield(&d.peers[i]) {
				return
			}
		}
	}
}

// ByAuthname returns the peer of that authname in a domain that Domains.Match
// returned, or nil. It may be a disabled one.
func (d *Directory) ByAuthname(domain, authname string) *Peer {
	at, found := d.byAuthname.find(identity{domain, authname}, func(at uint32) bool {
		return d.peers[at].Authname == authname && d.peers[at].belongsTo(domain, d.domains)
	})
	if !found {
		return nil
	}
	return &d.peers[at]
}

// ByUsername returns the peer that a digest username stands for in a domain that
// Domains.Match returned, and what it has to prove by that name, or nil. That is the
// peer of that authname. If there is none, a realm or domain behind the last "@" is
// taken off: some phones set it there.
func (d *Directory) ByUsername(domain, realm, username string) (*Peer, digest.A1) {
	peer := d.ByAuthname(domain, username)
	long, longA1 := d.byLongName(domain, realm, username) // in either case: it takes time
	if peer == nil {
		return long, longA1
	}
	a1, _ := peer.A1(realm)
	return peer, a1
}

func (d *Directory) byLongName(domain, realm, username string) (*Peer, digest.A1) {
	at := strings.LastIndexByte(username, '@')
	if at < 0 {
		return nil, digest.A1{}
	}
	peer := d.ByAuthname(domain, username[:at])
	if peer == nil {
		return nil, digest.A1{}
	}
	a1, known := peer.longA1(realm, username[at+1:])
	if !known {
		return nil, digest.A1{}
	}
	return peer, a1
}

func (d *Directory) isNamed(aor sipuri.AOR) bool {
	_, is := d.named.find(aor, func(at uint32) bool { return slices.Contains(d.peers[at].AORs, aor) })
	return is
}

// AOR returns the address-of-record that the URI of To names, and whether its
// domain is served here. Where one domain stands for all hosts, a host counts
// just for those user parts that some peer names with it.
func (d *Directory) AOR(uri sipuri.URI) (aor sipuri.AOR, served bool) {
	if d.domains.Primary() == "" && !d.namesHosts { // as a rule
		return sipuri.AOR{User: sipuri.Unescape(uri.User)}, true
	}
	aor = sipuri.Canonical(uri)
	domain, served := d.domains.Match(uri.Host)
	if served && d.isNamed(aor) {
		return aor, true
	}
	aor.Domain = domain
	return aor, served
}

// MayBind tells whether a peer may bind an AOR that Directory.AOR returned.
func (d *Directory) MayBind(p *Peer, aor sipuri.AOR) bool {
	if slices.Contains(p.AORs, aor) {
		return true
	}
	return p.AnyAOR && aor.Domain == p.Domain && aor.User != "" && !d.isNamed(aor)
}

// What a change of the peers may take from one, as WhatEnds says it.
const (
	PeerGone     = "the peer is gone"
	PeerDisabled = "enabled = no"
	PeerRekeyed  = "the secret is another one, or certificate_name"
	AORTaken     = "aorname is without the address"
)

// WhatEnds tells why a binding that a peer of the old directory made may not stay,
// in the words above; empty: it may, as the peer is there and enabled, has the same
// secret or, where it had none, the same names of certificates, and may still bind the
// AOR. What a peer has bound that is new, since it was there, may stay too. The domain is
// the one that it was registered in.
func (d *Directory) WhatEnds(old *Directory, domain, authname string, aor sipuri.AOR) string {
	before, now := old.ByAuthname(domain, authname), d.ByAuthname(domain, authname)
	switch {
	case now == nil:
		return PeerGone
	case !now.Enabled:
		return PeerDisabled
	}
	switch {
	case before != nil && isRekeyed(before, now, d.domains.Realm(domain)):
		return PeerRekeyed
	case !d.MayBind(now, aor):
		return AORTaken
	}
	return ""
}

// add takes in a peer whose authname nobody else has in its domains.
func (d *Directory) add(p *Peer) {
	at := uint32(len(d.peers))
	d.peers = append(d.peers, *p)
	for _, domain := range p.domains(d.domains) {
		d.byAuthname.add(identity{domain, p.Authname}, at)
	}
	d.addCertificateNames(p, at)
	for _, aor := range p.AORs {
		if !d.isNamed(aor) {
			d.named.add(aor, at)
		}
		d.namesHosts = d.namesHosts || aor.Domain != ""
	}
	d.addStandIn(p, at)
}
