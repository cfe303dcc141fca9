package peers

import (
	"strings"

	"sipregd/internal/sipuri"
)

// What follows goes through all peers: it is for people, not for requests.

// Where returns file:line of a peer of the directory.
func (d *Directory) Where(p *Peer) string { return d.where(p.at) }

// ByLabel returns the peer of that label, whatever its case, or nil.
func (d *Directory) ByLabel(label string) *Peer {
	for p := range d.All() {
		if strings.EqualFold(p.Label, label) {
			return p
		}
	}
	return nil
}

// BinderOf returns the first enabled peer that names an AOR, or nil.
func (d *Directory) BinderOf(aor sipuri.AOR) *Peer {
	for p := range d.All() {
		for _, named := range p.AORs {
			if named == aor && p.Enabled {
				return p
			}
		}
	}
	return nil
}

// ReadAOR returns the AOR that people write as user, or as user@domain.
func (d *Directory) ReadAOR(text string) sipuri.AOR {
	user, host := text, d.domains.Primary()
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		user, host = text[:at], text[at+1:]
	}
	if named := (sipuri.AOR{User: user, Domain: sipuri.CanonicalHost(host)}); d.isNamed(named) {
		return named
	}
	domain, _ := d.domains.Match(host)
	return sipuri.AOR{User: user, Domain: domain}
}

// DomainsOf returns the domains that a peer belongs to.
func (d *Directory) DomainsOf(p *Peer) []string { return p.domains(d.domains) }

// Domains returns the served domains.
func (d *Directory) Domains() Domains { return d.domains }

// Names returns the names of the domains, the primary one first; none where there
// is one for all hosts.
func (d Domains) Names() []string { return d.names }

// Realms returns the realms of the domains that the peer belongs to.
func (p *Peer) Realms() []string { return p.realms }
