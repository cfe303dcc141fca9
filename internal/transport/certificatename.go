package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"sipregd/internal/message"
)

// certificateOf returns the certificate that a phone has shown and that was verified,
// nil where it has shown none.
func certificateOf(state tls.ConnectionState) *message.Certificate {
	if len(state.VerifiedChains) == 0 {
		return nil
	}
	leaf := state.VerifiedChains[0][0]
	return &message.Certificate{Names: namesOf(leaf), Expires: leaf.NotAfter}
}

// namesOf returns what a certificate is known by: its whole subject (RFC 2253), the
// common name of it, and the names of its SAN (RFC 5280 §4.2.1.6).
func namesOf(leaf *x509.Certificate) []string {
	names := names{}
	names.add(leaf.Subject.String())
	names.addPart(leaf.Subject.CommonName)
	for _, parts := range [...][]string{leaf.DNSNames, leaf.EmailAddresses} {
		for _, part := range parts {
			names.addPart(part)
		}
	}
	for _, uri := range leaf.URIs {
		if uri.IsAbs() {
			names.add(uri.String())
		}
	}
	return names.list
}

type names struct{ list []string }

// add adds a name that may count, as long as there are not too many.
func (n *names) add(name string) {
	if len(n.list) < message.MaxCertificateNames && message.IsCertificateName(name) {
		n.list = append(n.list, message.CanonicalName(name))
	}
}

// addPart adds a name that could not be taken for a whole subject: whoever may choose
// one is not to choose the other.
func (n *names) addPart(name string) {
	if !strings.Contains(name, "=") {
		n.add(name)
	}
}

// explainHandshake says of which certificate an error is.
func explainHandshake(err error) error {
	var unverified *tls.CertificateVerificationError
	if !errors.As(err, &unverified) || len(unverified.UnverifiedCertificates) == 0 {
		return err
	}
	return fmt.Errorf("its client certificate %s is not taken: %w", subjectOf(unverified.UnverifiedCertificates[0]), unverified.Err)
}

// maxShown is how many bytes of a subject are shown.
const maxShown = 120

// subjectOf returns the subject of a certificate in quotes.
func subjectOf(c *x509.Certificate) string {
	subject := c.Subject.String()
	if len(subject) > maxShown {
		subject = strings.ToValidUTF8(subject[:maxShown], "") + "…"
	}
	return fmt.Sprintf("%q", subject)
}
