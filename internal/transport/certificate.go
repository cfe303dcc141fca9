package transport

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Certificate is what TLS streams show, and whom they believe. It may be replaced while
// they live.
type Certificate struct {
	current atomic.Pointer[Pair]
}

// Pair is a certificate chain and its key, with the authorities of client certificates,
// as they were read.
type Pair struct {
	certificate tls.Certificate
	authorities []*x509.Certificate // none: no client certificate is asked for
	clients     *x509.CertPool      // of the authorities
	asks        tls.Config          // asks for a client certificate, if there are authorities
	asksNot     tls.Config
}

// ReadPair reads a chain and its key from PEM files, and from another one the
// authorities whose client certificates are believed, unless its path is empty.
func ReadPair(certificate, key, clientCA string) (*Pair, error) {
	chain, err := readChain(certificate, key)
	if err != nil {
		return nil, err
	}
	p := &Pair{certificate: chain, clients: x509.NewCertPool()}
	for _, config := range []*tls.Config{&p.asks, &p.asksNot} {
		config.MinVersion, config.Certificates = tls.VersionTLS12, []tls.Certificate{chain}
	}
	if clientCA == "" {
		return p, nil
	}
	if p.authorities, err = readAuthorities(clientCA); err != nil {
		return nil, err
	}
	for _, authority := range p.authorities {
		p.clients.AddCert(authority)
	}
	p.asks.ClientAuth, p.asks.ClientCAs = tls.VerifyClientCertIfGiven, p.clients
	return p, nil
}

func readChain(certificate, key string) (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err == nil {
		return pair, nil
	}
	advice := "write the paths of a chain, the server's own certificate first, and of its key, both in PEM"
	switch {
	case errors.Is(err, fs.ErrPermission):
		advice = "let the account that sipregd runs under read it"
	case errors.Is(err, fs.ErrNotExist):
		advice = "write the paths of the files that are there"
	}
	return tls.Certificate{}, fmt.Errorf("[listen] certificate, private_key: %s; %s", strings.TrimPrefix(err.Error(), "tls: "), advice)
}

// readAuthorities reads certificates from a PEM file: at least one, and each that is
// there.
func readAuthorities(path string) (authorities []*x509.Certificate, err error) {
	const (
		subject = "[listen] client_ca"
		advice  = "write those who sign the certificates of phones there, in PEM"
	)
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: %w; let the account that sipregd runs under read it", subject, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w; write the path of a file in PEM that is there", subject, err)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		authority, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d of %s: %w; %s", subject, len(authorities)+1, path, err, advice)
		}
		authorities = append(authorities, authority)
	}
	switch {
	case len(authorities) < bytes.Count(text, []byte("-----BEGIN CERTIFICATE-----")): // Decode has left one out
		return nil, fmt.Errorf("%s: certificate %d of %s is not all there; %s", subject, len(authorities)+1, path, advice)
	case len(authorities) == 0:
		return nil, fmt.Errorf("%s: there is no certificate in %s; %s, or leave client_ca empty", subject, path, advice)
	}
	return authorities, nil
}

// renewalTime is how long before its end a certificate should have been renewed.
const renewalTime = 14 * 24 * time.Hour

// Warnings says what phones will not like.
func (p *Pair) Warnings(now time.Time) []string {
	warnings := lifetimeWarnings("[listen] certificate", p.leaf(), now)
	for _, authority := range p.authorities {
		warnings = append(warnings, lifetimeWarnings("[listen] client_ca: "+subjectOf(authority), authority, now)...)
	}
	return warnings
}

// lifetimeWarnings says that a certificate does not hold now, or not for long.
func lifetimeWarnings(subject string, c *x509.Certificate, now time.Time) []string {
	switch left := c.NotAfter.Sub(now); {
	case now.Before(c.NotBefore):
		return []string{fmt.Sprintf("%s: it does not hold before %s", subject, c.NotBefore.UTC().Format(time.DateTime))}
	case left <= 0:
		return []string{fmt.Sprintf("%s: it has expired on %s: renew it and reload", subject, c.NotAfter.UTC().Format(time.DateTime))}
	case left < renewalTime:
		return []string{fmt.Sprintf("%s: it expires on %s: renew it and reload", subject, c.NotAfter.UTC().Format(time.DateTime))}
	}
	return nil
}

// Expires returns until when it holds.
func (p *Pair) Expires() time.Time { return p.leaf().NotAfter }

func (p *Pair) leaf() *x509.Certificate { return p.certificate.Leaf }

// NewCertificate returns what shows a pair.
func NewCertificate(p *Pair) *Certificate {
	c := &Certificate{}
	c.current.Store(p)
	return c
}

// Replace has new streams see another pair.
func (c *Certificate) Replace(p *Pair) { c.current.Store(p) }

// Compare tells whether another pair has another certificate, and whether it has other
// authorities.
func (c *Certificate) Compare(p *Pair) (certificate, authorities bool) {
	now := c.current.Load()
	return !bytes.Equal(now.certificate.Certificate[0], p.certificate.Certificate[0]), !now.clients.Equal(p.clients)
}

// config returns how TLS is spoken below a transport, nil where there is no certificate.
// Browsers are not asked for theirs: most do not open a WebSocket then. A session that
// is resumed is no way around authorities that are not believed any more: crypto/tls
// looks whether the chain still ends at one.
func (c *Certificate) config(transport string, asks bool) *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if below, ours := hello.Conn.(connection); ours {
				below.stream.greeted = true
			}
			if !asks || transport == "WSS" && isBrowser(hello) {
				return &c.current.Load().asksNot, nil
			}
			return &c.current.Load().asks, nil
		},
	}
}

// isBrowser tells whether a client offers ciphers that mean nothing (GREASE, RFC 8701
// §3.1), as Chromium, its kin and Safari do, and hardly anybody else.
func isBrowser(hello *tls.ClientHelloInfo) bool {
	return slices.ContainsFunc(hello.CipherSuites, func(suite uint16) bool { return suite&0x0f0f == 0x0a0a && suite>>8 == suite&0xff })
}
