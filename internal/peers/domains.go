package peers

import "sipregd/internal/sipuri"

// defaultRealm is the realm where no domain is configured and no realm either.
const defaultRealm = "sipregd"

// Domains are the served domains and their realms. Without names there is one
// domain, "", whatever host the phone used. It is not changed once made.
type Domains struct {
	names  []string // canonical, the primary one first
	served map[string]bool
	realm  string
}

// NewDomains returns the domains of those names, the primary one first. An
// empty realm stands for the matched domain, or sipregd where there are none.
func NewDomains(names []string, realm string) Domains {
	d := Domains{served: make(map[string]bool, len(names)), realm: realm}
	for _, name := range names {
		name = sipuri.CanonicalHost(name)
		d.names = append(d.names, name)
		d.served[name] = true
	}
	return d
}

// Match returns the domain that a host names, in canonical form, and whether
// it is served here. Without names every host is served, and the domain is "".
func (d Domains) Match(host string) (domain string, served bool) {
	if len(d.names) == 0 {
		return "", true
	}
	if d.served[host] { // canonical as it is
		return host, true
	}
	host = sipuri.CanonicalHost(host)
	return host, d.served[host]
}

// Primary returns the primary domain, "" where there are no names.
func (d Domains) Primary() string {
	if len(d.names) == 0 {
		return ""
	}
	return d.names[0]
}

// Realm returns the realm to authenticate for in a domain that Match returned.
func (d Domains) Realm(domain string) string {
	switch {
	case d.realm != "":
		return d.realm
	case domain != "":
		return domain
	}
	return defaultRealm
}
