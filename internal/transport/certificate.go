package transport

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"
)

// Certificate is what TLS streams show. It may be replaced while they live.
type Certificate struct {
	current atomic.Pointer[tls.Certificate]
}

// Pair is a certificate chain and its key, as they were read.
type Pair struct{ certificate tls.Certificate }

// ReadPair reads a chain and its key from PEM files.
func ReadPair(certificate, key string) (*Pair, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err == nil {
		return &Pair{pair}, nil
	}
	advice := "write the paths of a chain, the server's own certificate first, and of its key, both in PEM"
	switch {
	case errors.Is(err, fs.ErrPermission):
		advice = "let the account that sipregd runs under read it"
	case errors.Is(err, fs.ErrNotExist):
		advice = "write the paths of the files that are there"
	}
	return nil, fmt.Errorf("[listen] certificate, private_key: %s; %s", strings.TrimPrefix(err.Error(), "tls: "), advice)
}

// renewalTime is how long before its end a certificate should have been renewed.
const renewalTime = 14 * 24 * time.Hour

// Warnings says what phones will not like.
func (p *Pair) Warnings(now time.Time) []string {
	const subject = "[listen] certificate"
	leaf := p.leaf()
	switch left := leaf.NotAfter.Sub(now); {
	case now.Before(leaf.NotBefore):
		return []string{fmt.Sprintf("%s: it does not hold before %s", subject, leaf.NotBefore.UTC().Format(time.DateTime))}
	case left <= 0:
		return []string{fmt.Sprintf("%s: it has expired on %s: renew it and reload", subject, leaf.NotAfter.UTC().Format(time.DateTime))}
	case left < renewalTime:
		return []string{fmt.Sprintf("%s: it expires on %s: renew it and reload", subject, leaf.NotAfter.UTC().Format(time.DateTime))}
	}
	return nil
}

// Expires returns until when it holds.
func (p *Pair) Expires() time.Time { return p.leaf().NotAfter }

func (p *Pair) leaf() *x509.Certificate { return p.certificate.Leaf }

// NewCertificate returns what shows a pair.
func NewCertificate(p *Pair) *Certificate {
	c := &Certificate{}
	c.current.Store(&p.certificate)
	return c
}

// Replace has new streams see another pair, and tells whether it is another one.
func (c *Certificate) Replace(p *Pair) bool {
	before := c.current.Swap(&p.certificate)
	return !bytes.Equal(before.Certificate[0], p.certificate.Certificate[0])
}

// config returns how TLS is spoken, nil where there is no certificate.
func (c *Certificate) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}
