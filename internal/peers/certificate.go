package peers

import (
	"slices"
	"strings"

	"sipregd/internal/digest"
	"sipregd/internal/inifile"
	"sipregd/internal/message"
	"sipregd/internal/sipuri"
)

const (
	adviceCertificateName = "write a name that stands in the client certificate of the phone, such as gw1.example.com"
	adviceSubject         = `write a whole subject in quotes, such as "CN=gw1,O=Example"`
)

// readCertificateNames reads names with commas. One in quotes may hold commas itself,
// as a whole subject does.
func (r *record) readCertificateNames(value string) *inifile.Fault {
	if fault := notEmpty(value, adviceCertificateName); fault != nil {
		return fault
	}
	for rest := value; rest != ""; {
		name, after, fault := cutName(rest)
		if fault != nil {
			return fault
		}
		if name = message.CanonicalName(name); !slices.Contains(r.settings.CertificateNames, name) {
			r.settings.CertificateNames = append(r.settings.CertificateNames, name)
		}
		rest = after
	}
	if !r.loader.options.ClientCertificates {
		r.warn(r.lines[keyCertificateName], inifile.Fault{
			Cause:  "certificate_name is of no use: no phone is asked for a certificate",
			Advice: "write client_ca below [listen] of sipregd.conf, or take the line out"})
	}
	return nil
}

// cutName cuts the first name from a list that is not empty. What comes after it is
// empty at the end alone.
func cutName(list string) (name, after string, fault *inifile.Fault) {
	if list[0] == '"' {
		return cutQuoted(list)
	}
	name, after, more := strings.Cut(list, ",")
	name, after = strings.TrimSpace(name), strings.TrimSpace(after)
	switch {
	case name == "" || more && after == "":
		return "", "", &inifile.Fault{Cause: "has an empty place in its list", Advice: "write one comma between two values, and none at the end"}
	case strings.Contains(name, "=") && !strings.Contains(name, ":"):
		return "", "", &inifile.Fault{Cause: "holds " + inifile.Quote(name) + ", which looks like a part of a subject", Advice: adviceSubject}
	}
	return checkName(name, after)
}

// cutQuoted cuts a name in quotes. A quote that stands in the name has a backslash
// before it there too (RFC 2253 §2.4).
func cutQuoted(list string) (name, after string, fault *inifile.Fault) {
	end := 1
	for end < len(list) && list[end] != '"' {
		if list[end] == '\\' {
			end++
		}
		end++
	}
	more := false
	if end < len(list) {
		after, more = strings.CutPrefix(strings.TrimSpace(list[end+1:]), ",")
		after = strings.TrimSpace(after)
	}
	if end >= len(list) || more == (after == "") {
		return "", "", &inifile.Fault{Cause: "has a quote that does not end, or something else than a comma and a name behind one", Advice: adviceSubject}
	}
	return checkName(list[1:end], after)
}

func checkName(name, after string) (string, string, *inifile.Fault) {
	if !message.IsCertificateName(name) {
		return "", "", &inifile.Fault{Cause: "holds " + inifile.Quote(name) + ", which no certificate is known by", Advice: adviceCertificateName}
	}
	return name, after, nil
}

// certificateKey is a name that a certificate may have, and the domain in which it
// stands for a peer.
type certificateKey struct{ domain, name string }

// addCertificateNames takes in what the certificate of a peer may be known by.
func (d *Directory) addCertificateNames(p *Peer, at uint32) {
	if len(p.CertificateNames) == 0 {
		return
	}
	if d.byCertificate == nil {
		d.byCertificate = map[certificateKey][]uint32{}
	}
	for _, domain := range p.domains(d.domains) {
		for _, name := range p.CertificateNames {
			key := certificateKey{domain, name}
			d.byCertificate[key] = append(d.byCertificate[key], at)
		}
	}
}

// ByCertificate returns the peer that a certificate of those names stands for in a
// domain that Domains.Match returned, or nil: of several the first that may bind the
// AOR, else the first. It may be a disabled one.
func (d *Directory) ByCertificate(domain string, names []string, aor sipuri.AOR) *Peer {
	first, binder := uint32(len(d.peers)), uint32(len(d.peers))
	for _, name := range names {
		places := d.byCertificate[certificateKey{domain, name}]
		for i, at := range places {
			if i == 0 {
				first = min(first, at)
			}
			if at < binder && d.MayBind(&d.peers[at], aor) {
				binder = at
				break
			}
		}
	}
	if binder < uint32(len(d.peers)) {
		return &d.peers[binder]
	}
	if first < uint32(len(d.peers)) {
		return &d.peers[first]
	}
	return nil
}

// HasSecret tells whether the peer may prove itself by a digest.
func (p *Peer) HasSecret() bool {
	return slices.ContainsFunc(p.proofs, func(a1 digest.A1) bool { return a1 != digest.A1{} })
}

// isRekeyed tells whether what a peer has proved itself by in a realm is not good any
// more. Where it has a secret, that it stays is enough.
func isRekeyed(before, now *Peer, realm string) bool {
	was, wasKnown := before.A1(realm)
	is, isKnown := now.A1(realm)
	if !wasKnown || !isKnown {
		return true
	}
	if was == (digest.A1{}) {
		return slices.ContainsFunc(before.CertificateNames, func(name string) bool { return !slices.Contains(now.CertificateNames, name) })
	}
	return was != is
}
