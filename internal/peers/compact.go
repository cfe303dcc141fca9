package peers

import (
	"slices"
	"strings"

	"sipregd/internal/sipuri"
)

// compact moves all that the peers hold into a few large pieces of memory: of
// a million small ones the garbage collector would follow each again and again.
func (d *Directory) compact() {
	d.compactTexts()
	var aors []sipuri.AOR
	var proofs []proof
	settings := sharedSettings{}
	for p := range d.All() {
		p.Settings = settings.share(p.Settings)
		aors, proofs = append(aors, p.AORs...), append(proofs, p.proofs...)
	}
	aors, proofs = append([]sipuri.AOR(nil), aors...), append([]proof(nil), proofs...) // without room to grow
	indexed := newDirectory(d.domains, len(d.peers), len(aors))
	for p := range d.All() {
		p.AORs, aors = aors[:len(p.AORs):len(p.AORs)], aors[len(p.AORs):]
		p.proofs, proofs = proofs[:len(p.proofs):len(p.proofs)], proofs[len(p.proofs):]
		indexed.add(p)
	}
	*d = *indexed
}

// sharedSettings holds one of all settings that are equal.
type sharedSettings map[plainSettings][]*Settings

// share returns the one that is equal to s.
func (all sharedSettings) share(s *Settings) *Settings {
	for _, other := range all[s.plainSettings] {
		if slices.Equal(other.Permit, s.Permit) {
			return other
		}
	}
	all[s.plainSettings] = append(all[s.plainSettings], s)
	return s
}

// compactTexts makes all texts parts of one.
func (d *Directory) compactTexts() {
	var all strings.Builder
	d.eachText(func(text *string) { all.WriteString(*text) })
	rest := all.String()
	d.eachText(func(text *string) { *text, rest = rest[:len(*text)], rest[len(*text):] })
}

// eachText shows the texts that are a peer's own.
func (d *Directory) eachText(show func(text *string)) {
	for p := range d.All() {
		show(&p.Label)
		show(&p.Authname)
		for i := range p.AORs {
			show(&p.AORs[i].User)
		}
	}
}
