package peers

import (
	"net/netip"
	"strings"

	"sipregd/internal/digest"
	"sipregd/internal/sipuri"
)

// keeper moves all that peers hold into a few large pieces of memory: of a
// million small ones the garbage collector would follow each again and again.
type keeper struct {
	texts    texts
	aors     pieces[sipuri.AOR]
	proofs   pieces[digest.A1]
	settings pieces[Settings]
	networks pieces[netip.Prefix]
	realms   pieces[string]
	longer   pieces[longName]
	shared   map[settingsKey]*Settings
}

func newKeeper() keeper {
	return keeper{texts: texts{known: map[string]string{}}, shared: map[settingsKey]*Settings{}}
}

// reserve makes room for so many more peers with an AOR, a realm and a longer name
// each. Side by side they take fewer pages of memory to look up.
func (k *keeper) reserve(peers int) {
	k.aors.reserve(peers)
	k.proofs.reserve(2 * peers)
}

// compact moves what a peer holds. None of it stays in the text of a file.
func (k *keeper) compact(p *Peer) {
	p.Label, p.Authname = k.texts.keep(p.Label), k.texts.keep(p.Authname)
	p.AORs, p.proofs = k.aors.keep(p.AORs), k.proofs.keep(p.proofs)
	for i, aor := range p.AORs {
		p.AORs[i] = sipuri.AOR{User: k.texts.keep(aor.User), Domain: k.texts.keepOnce(aor.Domain)}
	}
	p.Settings = k.share(p.Settings)
}

// settingsKey is the same for settings that are equal.
type settingsKey struct {
	plainSettings
	permit, realms, longer, certificateNames string
}

// share returns the settings that are equal to s, for all peers that have them.
func (k *keeper) share(s *Settings) *Settings {
	key := settingsKey{s.plainSettings, networksText(s.Permit), strings.Join(s.realms, "\n"), longNamesText(s.longer),
		strings.Join(s.CertificateNames, "\n")}
	same := k.shared[key]
	if same == nil {
		same = &k.settings.keep([]Settings{*s})[0]
		same.Permit, same.realms = k.networks.keep(same.Permit), k.realms.keep(same.realms)
		same.longer, same.CertificateNames = k.longer.keep(same.longer), k.realms.keep(same.CertificateNames)
		for _, text := range []*string{&same.Domain, &same.DefaultName, &same.DefaultHost} {
			*text = k.texts.keepOnce(*text)
		}
		for i := range same.realms {
			same.realms[i] = k.texts.keepOnce(same.realms[i])
		}
		for i := range same.CertificateNames {
			same.CertificateNames[i] = k.texts.keepOnce(same.CertificateNames[i])
		}
		for i, name := range same.longer {
			same.longer[i] = longName{k.texts.keepOnce(name.realm), k.texts.keepOnce(name.host)}
		}
		k.shared[key] = same
	}
	return same
}

func networksText(networks []netip.Prefix) string {
	var text []byte
	for _, network := range networks {
		text = append(network.AppendTo(text), ' ')
	}
	return string(text)
}

func longNamesText(names []longName) string {
	var text strings.Builder
	for _, name := range names {
		text.WriteString(name.realm + "\n" + name.host + "\n")
	}
	return text.String()
}

// pieceLength is how many values stand in one piece, at least.
const pieceLength = 512

// pieces are where values of one kind stand together.
type pieces[T any] struct {
	last []T // with room at its end
}

// reserve makes room for so many values in one piece.
func (p *pieces[T]) reserve(room int) {
	if cap(p.last)-len(p.last) < room {
		p.last = make([]T, 0, max(pieceLength, room))
	}
}

// keep returns a copy of values, nil for none.
func (p *pieces[T]) keep(values []T) []T {
	if len(values) == 0 {
		return nil
	}
	p.reserve(len(values))
	begin := len(p.last)
	p.last = append(p.last, values...)
	return p.last[begin:len(p.last):len(p.last)]
}

// textLength is how many bytes of text stand in one piece.
const textLength = 256 << 10

// texts are where texts stand together.
type texts struct {
	last  strings.Builder
	known map[string]string
}

// keep returns a copy of a text.
func (t *texts) keep(text string) string {
	if t.last.Cap()-t.last.Len() < len(text) {
		t.last = strings.Builder{}
		t.last.Grow(max(textLength, len(text)))
	}
	begin := t.last.Len()
	t.last.WriteString(text)
	return t.last.String()[begin:]
}

// keepOnce returns the same copy of a text each time.
func (t *texts) keepOnce(text string) string {
	if text == "" {
		return ""
	}
	kept, known := t.known[text]
	if !known {
		kept = t.keep(text)
		t.known[kept] = kept
	}
	return kept
}
