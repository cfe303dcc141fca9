package peers

import (
	"fmt"
	"slices"
	"strings"

	"sipregd/internal/digest"
	"sipregd/internal/inifile"
)

// What to write where one of the names is missing. No name is ever suggested
// for another one.
const (
	adviceAuthname = "write authname = and the digest username (Auth ID) that the phone is set to"
	adviceAORName  = "write aorname = and the user part of the address-of-record that the phone registers, or user@domain, or * for any"
	adviceSecret   = "write secret = and the password that the phone is set to, or password_digest = and its digest, or certificate_name = and a name in its client certificate"
	adviceDigest   = "write MD5: or SHA-256: and the hash of authname:realm:password in hexadecimal"
)

// record is a section of peers.conf on its way to a Peer.
type record struct {
	loader   *loader
	file     string
	section  inifile.Section
	peer     Peer
	settings Settings      // the peer's
	lines    [keyCount]int // where each key stands; 0: nowhere in this file
	aornames []string
	secret   string
	digest   digest.A1
}

// newRecord returns what each peer of a file starts from.
func newRecord(l *loader, file string) *record {
	o := &l.options
	r := &record{loader: l, file: file, settings: Settings{plainSettings: plainSettings{
		Domain:            o.Domains.Primary(),
		Enabled:           true,
		MaxContacts:       o.MaxContacts,
		MaxAORs:           o.MaxAORs,
		RemoveExisting:    o.RemoveExisting,
		RemoveUnavailable: o.RemoveUnavailable,
		CSeqReset:         o.CSeqReset,
		RecognizePhone:    o.RecognizePhone,
		QualifyFrequency:  o.QualifyFrequency,
		QualifyTimeout:    o.QualifyTimeout,
		MinimumExpiration: o.MinimumExpiration,
		DefaultExpiration: o.DefaultExpiration,
		MaximumExpiration: o.MaximumExpiration,
	}}}
	r.peer.Settings = &r.settings
	return r
}

// readDefaults takes the keys before the first section.
func (r *record) readDefaults(global inifile.Section) {
	for _, k := range global.Keys {
		number, known := keyNumbers[strings.ToLower(k.Name)]
		if known && keys[number].personal {
			r.fail(k.Line, inifile.Fault{Cause: keys[number].name + " stands before the first section",
				Advice: "write it below the [label] of its peer: no two have the same"})
			continue
		}
		r.readKey(k)
	}
}

// begin makes r the record of a section, which starts from the defaults of its
// file.
func (r *record) begin(defaults *record, section inifile.Section) {
	*r = *defaults
	r.section = section
	r.peer = Peer{Label: section.Name, Settings: &r.settings,
		at: place{file: uint32(len(r.loader.directory.files) - 1), line: uint32(section.Line)}}
}

// readPeer returns the peer, or nil where something is wrong with it. What
// keys mean together is judged once each is right. The peer is good until r is
// the record of another section.
func (r *record) readPeer() *Peer {
	before := r.loader.faults.Len()
	r.claimLabel()
	for _, k := range r.section.Keys {
		r.readKey(k)
	}
	r.requireKeys()
	if r.loader.faults.Len() > before {
		return nil
	}
	r.resolveAORNames()
	r.settleExpirations()
	r.makeProofs()
	r.claimAuthname()
	if r.loader.faults.Len() > before {
		return nil
	}
	return &r.peer
}

// claimLabel sees to it that labels are unique over all files.
func (r *record) claimLabel() {
	first, taken := r.loader.labels[r.section.Name]
	if taken {
		r.fail(r.section.Line, inifile.Fault{Cause: fmt.Sprintf("the label stands at %s already", r.loader.directory.where(first)),
			Advice: "give each peer its own"})
		return
	}
	r.loader.labels[r.section.Name] = r.peer.at
}

// readKey reads one line of a section. A key before the first section may
// stand in the section again.
func (r *record) readKey(k inifile.Key) {
	number, known := keyNumbers[strings.ToLower(k.Name)]
	if !known {
		r.fail(k.Line, inifile.UnknownKey(k.Name, ownKeyNames))
		return
	}
	if first := r.lines[number]; first > r.section.Line {
		r.fail(k.Line, inifile.Fault{Cause: fmt.Sprintf("%s stands on line %d already", keys[number].name, first),
			Advice: "keep one of the two"})
		return
	}
	r.lines[number] = k.Line
	value := k.Value
	if !keys[number].verbatim {
		value = k.WithoutComment()
	} else if k.LooksCommented() {
		r.warn(k.Line, inifile.Fault{Cause: fmt.Sprintf("the ; or # and what follows it is part of the %s", keys[number].name),
			Advice: "put comments on lines of their own"})
	}
	if fault := keys[number].read(r, value); fault != nil {
		r.fail(k.Line, fault.Of(keys[number].name))
	}
}

// requireKeys sees to it that the names are there, and the secret once or a
// certificate's name.
func (r *record) requireKeys() {
	r.require(keyAuthname, adviceAuthname)
	r.require(keyAORName, adviceAORName)
	secret, hash := r.lines[keySecret], r.lines[keyPasswordDigest]
	if hash == 0 {
		if r.lines[keyCertificateName] == 0 {
			r.require(keySecret, adviceSecret)
		}
	} else if secret != 0 {
		r.fail(max(secret, hash), inifile.Fault{
			Cause:  fmt.Sprintf("secret (line %d) and password_digest (line %d) stand together", secret, hash),
			Advice: "keep one of the two"})
	}
}

func (r *record) require(number int, advice string) {
	if r.lines[number] == 0 {
		r.fail(r.section.Line, inifile.Fault{Cause: keys[number].name + " is missing", Advice: advice})
	}
}

// resolveAORNames works out the addresses-of-record that aornames stand for,
// once the peer's domain is known.
func (r *record) resolveAORNames() {
	for _, name := range r.aornames {
		if name == "*" {
			r.peer.AnyAOR = true
			continue
		}
		aor, fault := parseAORName(name, r.peer.Domain, r.loader.options.Domains)
		if fault != nil {
			r.fail(r.lines[keyAORName], fault.Of("aorname"))
		} else if !slices.Contains(r.peer.AORs, aor) {
			r.peer.AORs = append(r.peer.AORs, aor)
		}
	}
}

// settleExpirations checks the order of the three. A default that the file
// does not name keeps to the limits that it names.
func (r *record) settleExpirations() {
	p := &r.peer
	r.checkOrder(keyMinimumExpiration, p.MinimumExpiration, keyMaximumExpiration, p.MaximumExpiration)
	if r.lines[keyDefaultExpiration] == 0 {
		p.DefaultExpiration = min(max(p.DefaultExpiration, p.MinimumExpiration), p.MaximumExpiration)
		return
	}
	r.checkOrder(keyMinimumExpiration, p.MinimumExpiration, keyDefaultExpiration, p.DefaultExpiration)
	r.checkOrder(keyDefaultExpiration, p.DefaultExpiration, keyMaximumExpiration, p.MaximumExpiration)
}

func (r *record) checkOrder(low int, lowSeconds uint32, high int, highSeconds uint32) {
	if lowSeconds <= highSeconds {
		return
	}
	r.fail(max(r.section.Line, r.lines[low], r.lines[high]), inifile.Fault{
		Cause: fmt.Sprintf("%s = %d (%s) is above %s = %d (%s)",
			keys[low].name, lowSeconds, r.origin(low), keys[high].name, highSeconds, r.origin(high)),
		Advice: "write minimum_expiration <= default_expiration <= maximum_expiration"})
}

func (r *record) origin(number int) string {
	if r.lines[number] == 0 {
		return "from sipregd.conf"
	}
	return fmt.Sprintf("line %d", r.lines[number])
}

// makeProofs works out what the peer proves in the realm of each domain that
// it belongs to: nothing by a digest where it has a certificate alone.
func (r *record) makeProofs() {
	served := r.loader.options.Domains
	if r.lines[keyPasswordDigest] != 0 {
		r.checkDigest()
	}
	for _, domain := range r.peer.domains(served) {
		realm := served.Realm(domain)
		if slices.Contains(r.settings.realms, realm) {
			continue
		}
		a1 := r.digest
		if r.lines[keySecret] != 0 {
			a1 = digest.NewA1(r.peer.Authname, realm, r.secret)
		}
		r.settings.realms = append(r.settings.realms, realm)
		r.peer.proofs = append(r.peer.proofs, a1)
	}
	r.makeLongerProofs()
	if r.lines[keyPasswordDigest] != 0 && len(r.settings.realms) > 1 {
		r.warn(r.lines[keyPasswordDigest], inifile.Fault{
			Cause:  fmt.Sprintf("password_digest is good for one realm, and this peer belongs to %d", len(r.settings.realms)),
			Advice: "write secret, or give all domains one realm in sipregd.conf"})
	}
}

// makeLongerProofs works out what the peer proves where its phone sets the realm or
// the domain behind the authname, and so digests another name (RFC 7616 §3.4.2). A
// password_digest is of the plain name alone.
func (r *record) makeLongerProofs() {
	if r.lines[keySecret] == 0 {
		return
	}
	served := r.loader.options.Domains
	for _, domain := range r.peer.domains(served) {
		realm := served.Realm(domain)
		for _, host := range [...]string{realm, domain} {
			name := longName{realm, host}
			if host == "" || slices.Contains(r.settings.longer, name) {
				continue
			}
			r.settings.longer = append(r.settings.longer, name)
			r.peer.proofs = append(r.peer.proofs, digest.NewA1(r.peer.Authname+"@"+host, realm, r.secret))
		}
	}
}

// checkDigest checks that the phone can answer a challenge.
func (r *record) checkDigest() {
	usable := r.loader.options.Algorithms
	if r.peer.Algorithm != 0 {
		usable = []digest.Algorithm{r.peer.Algorithm}
	}
	var missing []string
	for _, algorithm := range usable {
		if !r.digest.Has(algorithm) {
			missing = append(missing, algorithm.String())
		}
	}
	fault := inifile.Fault{Cause: "has no digest for " + strings.Join(missing, " or "), Advice: "write one too, behind a comma"}
	switch {
	case len(missing) == len(usable):
		fault.Advice = "write " + missing[0] + ": and the hash of authname:realm:password in hexadecimal"
		r.fail(r.lines[keyPasswordDigest], fault.Of("password_digest"))
	case len(missing) > 0:
		fault.Cause += ", which is offered: a phone that picks it is refused"
		r.warn(r.lines[keyPasswordDigest], fault.Of("password_digest"))
	}
}

// claimAuthname sees to it that the authname is nobody else's in any domain of
// the peer.
func (r *record) claimAuthname() {
	for _, domain := range r.peer.domains(r.loader.options.Domains) {
		other := r.loader.directory.ByAuthname(domain, r.peer.Authname)
		if other == nil {
			continue
		}
		r.fail(r.lines[keyAuthname], inifile.Fault{
			Cause: fmt.Sprintf("authname %s is that of [%s] at %s already",
				inifile.Quote(r.peer.Authname), other.Label, r.loader.directory.where(other.at)),
			Advice: "give each peer its own"})
		return
	}
}

// fail adds a fault on a line of the section.
func (r *record) fail(line int, fault inifile.Fault) {
	r.loader.faults.Add(inifile.Error{File: r.file, Line: line, Section: r.section.Name, Fault: fault})
}

// warn adds a warning about a line of the section.
func (r *record) warn(line int, warning inifile.Fault) {
	r.loader.warnings.Add(inifile.Error{File: r.file, Line: line, Section: r.section.Name, Fault: warning})
}
