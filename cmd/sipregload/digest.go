package main

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
)

// proof is what a digest is computed from (RFC 7616 §3.4.1).
type proof struct {
	authname, realm, secret string
	nonce, nc, cnonce       string
	method, uri             string
}

// response is the digest for qop=auth and MD5.
func (p proof) response() string {
	a1 := hash(p.authname + ":" + p.realm + ":" + p.secret)
	a2 := hash(p.method + ":" + p.uri)
	return hash(a1 + ":" + p.nonce + ":" + p.nc + ":" + p.cnonce + ":auth:" + a2)
}

// authorization is the header field that answers a challenge.
func (n names) authorization(challenge []byte) string {
	p := proof{
		authname: n.authname, realm: quoted(challenge, "realm="), secret: n.secret,
		nonce: quoted(challenge, "nonce="), nc: "00000001", cnonce: "0a4f113b",
		method: "REGISTER", uri: "sip:" + domain,
	}
	return `Authorization: Digest username="` + p.authname + `", realm="` + p.realm + `", nonce="` + p.nonce +
		`", uri="` + p.uri + `", response="` + p.response() + `", algorithm=MD5, qop=auth, nc=` + p.nc +
		`, cnonce="` + p.cnonce + "\"\r\n"
}

// quoted returns what stands in quotes behind the name.
func quoted(text []byte, name string) string {
	_, rest, _ := bytes.Cut(text, []byte(name+`"`))
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(value)
}

func hash(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}
