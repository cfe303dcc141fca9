package peers

// Elsewhere returns a peer of that authname in another domain than that one, and
// its domain; nil where there is none.
func (d *Directory) Elsewhere(domain, authname string) (*Peer, string) {
	for _, other := range d.domains.names {
		if p := d.ByAuthname(other, authname); p != nil && other != domain {
			return p, other
		}
	}
	return nil, ""
}
