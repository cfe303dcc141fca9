package main

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// Why TLS does not come about with a phone is told with the address that it comes from:
// more is not known of it.
func TestWhyTellsOfTLSThatDoesNotComeAbout(t *testing.T) {
	t.Parallel()
	d := startSecureDaemon(t, newAuthority(t), "", phonePeers)
	distrusts := &tls.Config{ServerName: "localhost"}
	if conn, err := tls.Dial("tcp", d.tls.String(), distrusts); err == nil {
		conn.Close()
		t.Fatal("a certificate is trusted that nobody knows")
	}
	d.checkWhy(t, []string{"127.0.0.1"}, "No TLS with 127.0.0.1: remote error: tls: bad certificate", "have it trust whoever signed that")
	d.waitLog(t, `"event":"refused","src_ip":"127.0.0.1"`)
	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	if conn, err := tls.Dial("tcp", d.tls.String(), old); err == nil {
		conn.Close()
		t.Fatal("TLS 1.1 is spoken")
	}
	d.checkWhy(t, []string{"127.0.0.1"}, "tls: client offered only unsupported versions", "takes 1.2 or newer")
}

// With mutual_tls phones are asked for certificates there alone, so that those get on
// elsewhere that do not like to be asked, as linphonec.
func TestMutualTLSAsksOnAPortOfItsOwn(t *testing.T) {
	t.Parallel()
	a, phones := newAuthority(t), newAuthority(t)
	mutual := netip.AddrPortFrom(loopback, uint16(freePort(t)))
	d := startSecureDaemon(t, a, "", certifiedPeers, "client_ca = "+phones.path, fmt.Sprint("mutual_tls = ", mutual))
	certified := a.phoneTLS(t, phones.signPhone(t, "gw1.example.com", time.Now().Add(time.Hour)))
	there := d.certifiedClient(t, "tls", certified, "", "", "3001")
	there.mustExchange(t, 401)
	d.tls = mutual
	there = d.certifiedClient(t, "tls", certified, "", "", "3001")
	there.mustExchange(t, 200)
	d.waitLog(t, `"label":"Attic"`)
}

// mustExchange sends a REGISTER without credentials.
func (c *client) mustExchange(t *testing.T, want int) {
	t.Helper()
	if answer, err := c.exchange([]string{"Contact: <sip:x@127.0.0.1:9>"}); err != nil || answer.status != want {
		t.Fatalf("got %d, %v, want %d", answer.status, err, want)
	}
}
