package peers

import "sipregd/internal/sipuri"

// Binds tells whether there is an enabled peer of that authname in a domain that
// may bind the AOR.
func (d *Directory) Binds(domain, authname string, aor sipuri.AOR) bool {
	p := d.ByAuthname(domain, authname)
	return p != nil && p.Enabled && d.MayBind(p, aor)
}
