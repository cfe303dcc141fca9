package main

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
)

// proof is what a digest is computed from (RFC 7616 §3.4.1).
type proof struct {
	authname, realm, secret string
	nonce                   []byte
	nc, cnonce              string
	method, uri             string
}

// inHex is a digest as it is sent.
type inHex [2 * md5.Size]byte

// response is the digest for qop=auth and MD5.
func (p *proof) response() inHex {
	var room [512]byte
	a1 := hash(joined(room[:0], p.authname, p.realm, p.secret))
	a2 := hash(joined(room[:0], p.method, p.uri))
	text := append(append(room[:0], a1[:]...), ':')
	text = append(append(text, p.nonce...), ':')
	text = joined(text, p.nc, p.cnonce, "auth", "")
	return hash(append(text, a2[:]...))
}

// appendAuthorization appends the header field that answers a challenge.
func (n *names) appendAuthorization(b []byte, realm string, nonce []byte) []byte {
	p := proof{
		authname: n.authname, realm: realm, secret: n.secret,
		nonce: nonce, nc: "00000001", cnonce: "0a4f113b",
		method: "REGISTER", uri: "sip:" + domain,
	}
	response := p.response()
	b = append(append(b, `Authorization: Digest username="`...), p.authname...)
	b = append(append(b, `", realm="`...), p.realm...)
	b = append(append(b, `", nonce="`...), p.nonce...)
	b = append(append(b, `", uri="`...), p.uri...)
	b = append(append(b, `", response="`...), response[:]...)
	b = append(append(b, `", algorithm=MD5, qop=auth, nc=`...), p.nc...)
	b = append(append(b, `, cnonce="`...), p.cnonce...)
	return append(b, "\"\r\n"...)
}

// quoted returns what stands in quotes behind the name.
func quoted(text []byte, name string) []byte {
	_, rest, _ := bytes.Cut(text, []byte(name))
	_, rest, _ = bytes.Cut(rest, []byte(`"`))
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return value
}

// joined appends parts with a colon between each two.
func joined(b []byte, parts ...string) []byte {
	for i, part := range parts {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, part...)
	}
	return b
}

func hash(text []byte) (digest inHex) {
	sum := md5.Sum(text)
	hex.Encode(digest[:], sum[:])
	return digest
}
