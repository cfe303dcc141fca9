package registrar

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/sipuri"
)

// RFC 5627. A phone with an instance ID that supports gruu gets two addresses that reach
// it alone: a public one, the AOR with its instance ID, and with each answer a
// temporary one that tells nobody who it is. Nothing is stored for either: a temporary
// one holds, sealed, what it stands for.

const (
	gruuPrefix = "tgruu."
	markSize   = 8 // bytes of the hash of an instance ID or a Call-ID
)

// gruus makes and opens temporary GRUUs.
type gruus struct {
	seal cipher.AEAD
	key  []byte // of the nonces
}

// ShareGRUUs has temporary GRUUs sealed with another key from now on.
func (r *Registrar) ShareGRUUs(key [32]byte) { r.gruus.Store(newGRUUs(key)) }

func newGRUUs(key [32]byte) *gruus {
	half := func(purpose string) []byte {
		mac := hmac.New(sha256.New, key[:])
		mac.Write([]byte(purpose))
		return mac.Sum(nil)
	}
	block, err := aes.NewCipher(half("seal"))
	if err != nil {
		panic(err) // the key has the right length
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return &gruus{seal: seal, key: half("nonce")}
}

// temporary is what a temporary GRUU stands for. It is good while the phone of that
// instance ID is registered with that Call-ID (§3.1.2, §5.4): after a while without,
// too, which the RFC would end it with.
type temporary struct {
	aor      sipuri.AOR
	instance [markSize]byte
	callID   [markSize]byte
}

func temporaryOf(aor sipuri.AOR, instance, callID string) temporary {
	return temporary{aor, markOf(strings.ToLower(instance)), markOf(callID)}
}

func markOf(text string) (mark [markSize]byte) {
	sum := sha256.Sum256([]byte(text))
	copy(mark[:], sum[:])
	return mark
}

// appendTo appends the user part of a GRUU, another one at each time. Its nonce
// follows from what is sealed, so that none comes twice for two texts.
func (t *temporary) appendTo(text []byte, g *gruus, now time.Time) []byte {
	var space [256]byte
	plain := binary.BigEndian.AppendUint64(space[:0], uint64(now.UnixNano()))
	plain = append(append(plain, t.instance[:]...), t.callID[:]...)
	plain = location.AppendText(location.AppendText(plain, t.aor.User), t.aor.Domain)
	mac := hmac.New(sha256.New, g.key)
	mac.Write(plain)
	nonce := mac.Sum(nil)[:g.seal.NonceSize()]
	sealed := g.seal.Seal(nonce, nonce, plain, nil)
	return base64.RawURLEncoding.AppendEncode(append(text, gruuPrefix...), sealed)
}

// open undoes appendTo.
func (g *gruus) open(name string) (t temporary, ok bool) {
	encoded, found := strings.CutPrefix(name, gruuPrefix)
	sealed, err := base64.RawURLEncoding.DecodeString(encoded)
	if !found || err != nil || len(sealed) < g.seal.NonceSize() {
		return t, false
	}
	plain, err := g.seal.Open(nil, sealed[:g.seal.NonceSize()], sealed[g.seal.NonceSize():], nil)
	const head = 8 + 2*markSize
	if err != nil || len(plain) < head {
		return t, false
	}
	copy(t.instance[:], plain[8:])
	copy(t.callID[:], plain[8+markSize:])
	rest := string(plain[head:])
	if t.aor.User, rest, ok = location.CutText(rest); ok {
		t.aor.Domain, _, ok = location.CutText(rest)
	}
	return t, ok
}

// appendGRUUs appends the GRUUs of a binding to its value of Contact, for a phone that
// knows them (§5.3).
func (g *registration) appendGRUUs(text []byte, b *location.Binding) []byte {
	if !g.supports(message.ExtensionGRUU) {
		return text
	}
	instance, _ := message.InstanceOf(b.Params)
	if instance == "" {
		return text
	}
	to, host := &g.request.To.URI, g.aor.Domain
	if host == "" {
		host = to.Host
	}
	text = append(append(append(text, `;pub-gruu="`...), to.Scheme...), ':')
	text = append(append(append(text, to.User...), '@'), host...)
	text = append(sipuri.AppendEscaped(append(text, ";gr="...), unbracketed(instance)), '"')
	text = append(append(append(text, `;temp-gruu="`...), to.Scheme...), ':')
	temporary := temporaryOf(g.aor, instance, b.CallID)
	text = append(append(temporary.appendTo(text, g.gruus.Load(), g.now), '@'), host...)
	return append(text, `;gr"`...)
}

// unbracketed returns the URN of an instance ID.
func unbracketed(instance string) string {
	return strings.TrimSuffix(strings.TrimPrefix(instance, "<"), ">")
}

// isGRUU tells whether a Contact is a GRUU of this registrar, which would lead back to
// it (§5.1).
func (g *registration) isGRUU(contact *sipuri.URI) bool {
	if contact.Params == "" {
		return false
	}
	gr, found := contact.Param("gr")
	if !found {
		return false
	}
	if gr == "" {
		_, ours := g.gruus.Load().open(contact.User)
		return ours
	}
	aor, served := g.snapshot.AOR(*contact)
	return served && aor == g.aor
}

// Locate returns the AOR that a URI names and what it is bound to: all, or that of the
// one phone where it is a GRUU (§5.4). stale: that is not known for sure, as of Lookup.
func (r *Registrar) Locate(uri sipuri.URI, now time.Time) (aor sipuri.AOR, bindings []location.Binding, stale bool) {
	gr, isGRUU := uri.Param("gr")
	if isGRUU && gr == "" {
		return r.locateTemporary(uri.User, now)
	}
	aor, _ = r.Directory().AOR(uri)
	all, stale := r.Lookup(aor, now)
	if !isGRUU {
		return aor, all, stale
	}
	for _, b := range all {
		if instance, _ := message.InstanceOf(b.Params); strings.EqualFold(unbracketed(instance), sipuri.Unescape(gr)) {
			bindings = append(bindings, b)
		}
	}
	return aor, bindings, stale
}

// locateTemporary is Locate for a temporary GRUU. Where it cannot be opened, that may be for
// want of the key, which comes from where the bindings are.
func (r *Registrar) locateTemporary(name string, now time.Time) (aor sipuri.AOR, bindings []location.Binding, stale bool) {
	wanted, ok := r.gruus.Load().open(name)
	if !ok {
		return sipuri.AOR{User: name}, nil, r.IsStale()
	}
	all, stale := r.Lookup(wanted.aor, now)
	for _, b := range all {
		if instance, _ := message.InstanceOf(b.Params); instance != "" && temporaryOf(wanted.aor, instance, b.CallID) == wanted {
			bindings = append(bindings, b)
		}
	}
	return wanted.aor, bindings, stale
}
