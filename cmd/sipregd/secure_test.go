package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sipregd/internal/admin/api"
)

// authority signs the certificates of a test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	path        string // of its certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t), path: filepath.Join(t.TempDir(), "authority.pem")}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, &template, &template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.path, "CERTIFICATE", raw)
	return a
}

// sign writes a certificate for this machine, of that number, and its key to a
// directory.
func (a *authority) sign(t *testing.T, directory string, number int64) {
	t.Helper()
	key := newKey(t)
	template := x509.Certificate{
		SerialNumber: big.NewInt(number), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, &template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(directory, "chain.pem"), "CERTIFICATE", raw)
	writePEM(t, filepath.Join(directory, "key.pem"), "PRIVATE KEY", secret)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t *testing.T, path, kind string, data []byte) {
	t.Helper()
	writeFile(t, path, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})))
}

// startSecureDaemon runs a sipregd that listens on TLS and WSS too. listen are further
// lines of [listen].
func startSecureDaemon(t *testing.T, a *authority, sipregdConf, peersConf string, listen ...string) *daemon {
	t.Helper()
	d := prepareSecureDaemon(t, a, sipregdConf, peersConf, listen...)
	d.run(t)
	return d
}

func prepareSecureDaemon(t *testing.T, a *authority, sipregdConf, peersConf string, listen ...string) *daemon {
	t.Helper()
	d := prepareDaemon(t, sipregdConf, peersConf)
	d.tls = netip.AddrPortFrom(d.udp.Addr(), uint16(freePort(t)))
	d.wss = netip.AddrPortFrom(d.udp.Addr(), uint16(freePort(t)))
	a.sign(t, d.directory, 1)
	path := filepath.Join(d.directory, "sipregd.conf")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, strings.Replace(string(text), "[listen]\n", fmt.Sprintf(
		"[listen]\ntls = %v\nwss = %v\ncertificate = chain.pem\nprivate_key = key.pem\n%s\n", d.tls, d.wss, strings.Join(listen, "\n")), 1))
	return d
}

// dialTLS opens a stream and returns the number of the certificate that it saw.
func (d *daemon) dialTLS(t *testing.T, a *authority) (conn *tls.Conn, number int64) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", d.tls.String(), &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func TestBaresipRegistersOverTLS(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	t.Parallel()
	a := newAuthority(t)
	d := startSecureDaemon(t, a, brief, phonePeers)
	b := startBaresip(t, d.tls, "tls", "b41d77", "correct-horse", "sip_cafile "+a.path)
	b.wait(t, registered)
	d.waitLog(t, `"transport":"TLS"`)
	d.waitLog(t, `"event":"refreshed"`)
	again := d.restart(t)
	again.waitLog(t, `"event":"refreshed"`)
	b.stop(t)
	again.waitLog(t, `"event":"removed"`)
	checkSilent(t, d, b)
	checkSilent(t, again, b)
}

// SIGHUP, and sipregctl reload, have new connections see the new certificate. The
// old ones live on.
func TestCertificatesAreReadAnew(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	d := startSecureDaemon(t, a, "", phonePeers)
	old, _ := d.dialTLS(t, a)
	check := func(when string, want int64) {
		t.Helper()
		if _, number := d.dialTLS(t, a); number != want {
			t.Errorf("%s certificate %d is shown, want %d", when, number, want)
		}
		fmt.Fprintf(old, "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK-%s\r\nFrom: <sip:a@b>;tag=1\r\n"+
			"To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", when)
		_ = old.SetDeadline(time.Now().Add(patience))
		reader := bufio.NewReader(old)
		line, err := reader.ReadString('\n')
		if err != nil || line != "SIP/2.0 200 OK\r\n" {
			t.Errorf("%s the old stream gets %q, %v", when, line, err)
		}
		_, _ = reader.Discard(reader.Buffered())
	}
	check("before", 1)
	a.sign(t, d.directory, 2)
	d.reload(t, `"event":"certificate_reloaded"`)
	check("after", 2)
	writeFile(t, filepath.Join(d.directory, "key.pem"), "half of a key")
	d.writePeers(t, phonePeers+"[Another]\nauthname = a\nsecret = s\naorname = a\n")
	d.reload(t, `"event":"reload_failed"`)
	check("bad", 2)
	if log := d.output.String(); strings.Contains(log, `"added":["Another"]`) || !strings.Contains(log, "[listen] certificate, private_key: ") {
		t.Errorf("the log has:\n%s", log)
	}
	answer, err := d.administrator().Post("http://sipregd/api/v1/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var result api.Reload
	if err := json.NewDecoder(answer.Body).Decode(&result); err != nil || answer.StatusCode != http.StatusUnprocessableEntity ||
		len(result.Errors) != 1 || !strings.HasPrefix(result.Errors[0], "[listen] certificate, private_key: ") {
		t.Errorf("a reload answers %s %+v, %v", answer.Status, result, err)
	}
	a.sign(t, d.directory, 3)
	d.reload(t, `"added":["Another"]`)
	check("mended", 3)
}

func TestCheckSaysWhatIsWrongWithTheCertificate(t *testing.T) {
	directory := t.TempDir()
	newAuthority(t).sign(t, directory, 1)
	writeFile(t, filepath.Join(directory, "peers.conf"), phonePeers)
	path := filepath.Join(directory, "sipregd.conf")
	for key, want := range map[string]string{"key.pem": "", "chain.pem": "[listen] certificate, private_key: "} {
		writeFile(t, path, "[listen]\ntls = 127.0.0.1:5061\ncertificate = chain.pem\nprivate_key = "+key+"\n[location]\nstore = memory\n")
		var out strings.Builder
		if err := checkConfiguration(path, &out); (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v\n%s", key, err, out.String())
		}
	}
}
