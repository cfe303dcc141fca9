package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sipregd/internal/admin/chromium"
)

// certifiedPeers has a peer with a certificate alone, beside one with a secret.
const certifiedPeers = phonePeers + "[Attic]\nauthname = gw-1\naorname = 3001, 2001\ncertificate_name = GW1.example.com\n"

// signPhone writes a certificate of a phone and its key to a file, until a time, and
// returns its path.
func (a *authority) signPhone(t *testing.T, name string, until time.Time) (path string) {
	t.Helper()
	key := newKey(t)
	template := x509.Certificate{
		SerialNumber: big.NewInt(9), Subject: pkix.Name{CommonName: "a phone"}, DNSNames: []string{name},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
	}
	raw, err := x509.CreateCertificate(rand.Reader, &template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "phone.pem")
	writeFile(t, path, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))+
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})))
	return path
}

// phoneTLS returns how a phone speaks TLS that shows a certificate whoever is asked
// for, or none where the path is empty.
func (a *authority) phoneTLS(t *testing.T, path string) *tls.Config {
	t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(a.certificate)
	if path == "" {
		return config
	}
	pair, err := tls.LoadX509KeyPair(path, path)
	if err != nil {
		t.Fatal(err)
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	return config
}

// certifiedClient returns a phone that has a stream by one of the two ways.
func (d *daemon) certifiedClient(t *testing.T, network string, config *tls.Config, authname, secret, aorname string) *client {
	t.Helper()
	c := newClient(network, "", authname, secret, aorname)
	var err error
	if network == "tls" {
		c.conn, err = tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", d.tls.String(), config)
	} else {
		c.conn, err = dialWSS(t, d.wss.String(), config)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	c.reader, c.answerWithin = bufio.NewReader(c.conn), patience
	return c
}

// webSocket is a WebSocket as a connection from an address.
type webSocket struct {
	net.Conn
	local net.Addr
}

func (w webSocket) LocalAddr() net.Addr { return w.local }

func dialWSS(t *testing.T, address string, config *tls.Config) (net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	var local net.Addr
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			local = conn.LocalAddr()
		}
		return conn, err
	}
	socket, _, err := websocket.Dial(ctx, "wss://"+address, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: config, DialContext: dial}}, Subprotocols: []string{"sip"}})
	if err != nil {
		return nil, err
	}
	return webSocket{websocket.NetConn(ctx, socket, websocket.MessageText), local}, nil
}

func TestACertificateAloneRegisters(t *testing.T) {
	for _, network := range []string{"tls", "wss"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			a, phones := newAuthority(t), newAuthority(t)
			d := startSecureDaemon(t, a, "", certifiedPeers, "client_ca = "+phones.path)
			want := func(c *client, status int) {
				t.Helper()
				answer, err := c.exchange([]string{"Contact: <sip:x@127.0.0.1:9>"})
				if err != nil || answer.status != status {
					t.Errorf("%s: got %d, %v, want %d\n%s", c.aorname, answer.status, err, status, d.output.String())
				}
			}
			certified := a.phoneTLS(t, phones.signPhone(t, "gw1.example.com", time.Now().Add(time.Hour)))
			gateway := d.certifiedClient(t, network, certified, "", "", "3001")
			want(gateway, 200)
			for _, field := range []string{`"event":"added"`, `"transport":"` + strings.ToUpper(network) + `"`, `"label":"Attic"`, `"authname":"gw-1"`, `"aor":"3001"`} {
				d.waitLog(t, field)
			}
			want(gateway, 200) // refreshes on the same stream
			gateway.aorname = "2001"
			want(gateway, 200)
			gateway.aorname = "9999"
			want(gateway, 401) // which no peer of that certificate has

			// By a digest a phone registers with a certificate of nobody, and with none.
			stranger := a.phoneTLS(t, phones.signPhone(t, "gw9.example.com", time.Now().Add(time.Hour)))
			for _, config := range []*tls.Config{stranger, a.phoneTLS(t, "")} {
				c := d.certifiedClient(t, network, config, "b41d77", "correct-horse", "2001")
				want(c, 401)
				if answer, _, err := c.register("Contact: <sip:y@127.0.0.1:9>"); err != nil || answer.status != 200 {
					t.Errorf("by its digest a phone gets %d, %v", answer.status, err)
				}
			}
			// The authname of the certificate's peer is no way in without it.
			c := d.certifiedClient(t, network, a.phoneTLS(t, ""), "gw-1", "", "3001")
			if answer, _, err := c.register("Contact: <sip:y@127.0.0.1:9>"); err != nil || answer.status != 401 {
				t.Errorf("without a certificate its peer gets %d, %v", answer.status, err)
			}
		})
	}
}

func TestACertificateThatIsNotBelievedEndsTheHandshake(t *testing.T) {
	t.Parallel()
	a, phones, foreign := newAuthority(t), newAuthority(t), newAuthority(t)
	d := startSecureDaemon(t, a, "", certifiedPeers, "client_ca = "+phones.path)
	for why, path := range map[string]string{
		"certificate signed by unknown authority": foreign.signPhone(t, "gw1.example.com", time.Now().Add(time.Hour)),
		"certificate has expired":                 phones.signPhone(t, "gw1.example.com", time.Now().Add(-time.Hour)),
	} {
		conn, err := tls.Dial("tcp", d.tls.String(), a.phoneTLS(t, path))
		if err == nil { // with TLS 1.3 the phone is told when it reads
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "tls: ") {
			t.Errorf("%s: the phone is told %v", why, err)
		}
		d.waitLog(t, `its client certificate \"CN=a phone\" is not taken: x509: `+why)
	}
}

// SIGHUP has new streams judged by the authorities that are in the file then, all of
// them or, where one is broken, those of before.
func TestAuthoritiesAreReadAnew(t *testing.T) {
	t.Parallel()
	a, before, after := newAuthority(t), newAuthority(t), newAuthority(t)
	path := filepath.Join(t.TempDir(), "phones.pem")
	believe := func(files ...string) {
		t.Helper()
		text := ""
		for _, file := range files {
			part, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text += string(part)
		}
		writeFile(t, path, text)
	}
	believe(before.path)
	d := startSecureDaemon(t, a, "", certifiedPeers, "client_ca = "+path)
	in := time.Now().Add(time.Hour)
	phones := map[string]*tls.Config{
		"before": a.phoneTLS(t, before.signPhone(t, "gw1.example.com", in)), "after": a.phoneTLS(t, after.signPhone(t, "gw1.example.com", in)),
	}
	old := d.certifiedClient(t, "tls", phones["before"], "", "", "3001")
	check := func(when string, taken ...string) {
		t.Helper()
		for name, config := range phones {
			status := 0
			c := newClient("tls", "", "", "", "3001")
			if conn, err := tls.Dial("tcp", d.tls.String(), config); err == nil {
				c.conn, c.reader, c.answerWithin = conn, bufio.NewReader(conn), patience
				answer, _ := c.exchange([]string{"Contact: <sip:x@127.0.0.1:9>"})
				status = answer.status
				c.close()
			}
			if is := status == 200; is != strings.Contains(strings.Join(taken, " "), name) {
				t.Errorf("%s: that of %s gets %d", when, name, status)
			}
		}
		if answer, err := old.exchange([]string{"Contact: <sip:x@127.0.0.1:9>"}); err != nil || answer.status != 200 {
			t.Errorf("%s: the old stream gets %d, %v", when, answer.status, err)
		}
	}
	check("at first", "before")
	believe(before.path, after.path)
	d.reload(t, `"event":"client_ca_reloaded"`)
	check("with both", "before", "after")
	writeFile(t, path, "")
	d.writePeers(t, certifiedPeers+"[Another]\nauthname = a\nsecret = s\naorname = a\n")
	d.reload(t, `"event":"reload_failed"`)
	check("with none", "before", "after")
	if log := d.output.String(); strings.Contains(log, `"added":["Another"]`) || !strings.Contains(log, "[listen] client_ca: there is no certificate in ") {
		t.Errorf("the log has:\n%s", log)
	}
	believe(after.path)
	d.reload(t, `"event":"client_ca_reloaded"`)
	check("with the other", "after")
	d.writePeers(t, strings.Replace(certifiedPeers, "GW1.", "gw2.", 1))
	d.reload(t, `"changed":["Attic"]`)
	d.waitLog(t, `"event":"removed"`)
	if answer, err := old.exchange(nil); err != nil || answer.status != 401 {
		t.Errorf("of a name that is listed no more: the old stream gets %d, %v", answer.status, err)
	}
}

func TestCheckSaysWhatIsWrongWithTheAuthorities(t *testing.T) {
	directory := t.TempDir()
	a := newAuthority(t)
	a.sign(t, directory, 1)
	writeFile(t, filepath.Join(directory, "peers.conf"), certifiedPeers)
	path := filepath.Join(directory, "sipregd.conf")
	const unused = "peers.conf:8: [Attic] certificate_name is of no use: no phone is asked for a certificate; write client_ca below [listen] of sipregd.conf, or take the line out"
	for key, test := range map[string]struct{ wrong, warning string }{
		"":              {"", unused},
		a.path:          {"", ""},
		"key.pem":       {"[listen] client_ca: there is no certificate in ", ""},
		"elsewhere.pem": {"[listen] client_ca: open ", ""},
	} {
		writeFile(t, path, "[listen]\ntls = 127.0.0.1:5061\ncertificate = chain.pem\nprivate_key = key.pem\nclient_ca = "+key+"\n[location]\nstore = memory\n")
		var out strings.Builder
		err := checkConfiguration(path, &out)
		if (err == nil) != (test.wrong == "") || err != nil && !strings.HasPrefix(err.Error(), test.wrong) {
			t.Errorf("%s: %v\n%s", key, err, out.String())
		}
		if strings.Contains(out.String(), unused) != (test.warning != "") {
			t.Errorf("%s: warnings are\n%s", key, out.String())
		}
	}
}

// baresip shows the certificate that it has, and knows no password.
func TestBaresipRegistersWithACertificateAlone(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	t.Parallel()
	a, phones := newAuthority(t), newAuthority(t)
	d := startSecureDaemon(t, a, brief, certifiedPeers, "client_ca = "+phones.path)
	b := startBaresip(t, d.tls, "tls", "", "", "sip_cafile "+a.path,
		"sip_certificate "+phones.signPhone(t, "gw1.example.com", time.Now().Add(time.Hour)))
	b.wait(t, registered)
	d.waitLog(t, `"event":"refreshed"`)
	again := d.restart(t)
	again.waitLog(t, `"event":"refreshed"`)
	b.stop(t)
	again.waitLog(t, `"event":"removed"`)
	for _, each := range []*daemon{d, again} {
		if log := each.output.String(); strings.Contains(log, `"event":"challenged"`) || !strings.Contains(log, `"label":"Attic"`) {
			t.Errorf("the log has:\n%s", log)
		}
		checkSilent(t, each, b)
	}
}

// baresip with a certificate of nobody, or with none, is let in by its password.
func TestBaresipRegistersByItsDigestWhereCertificatesAreAskedFor(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	a, phones := newAuthority(t), newAuthority(t)
	for name, settings := range map[string][]string{
		"none":   nil,
		"nobody": {"sip_certificate " + phones.signPhone(t, "gw9.example.com", time.Now().Add(time.Hour))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startSecureDaemon(t, a, "", certifiedPeers, "client_ca = "+phones.path)
			b := startBaresip(t, d.tls, "tls", "b41d77", "correct-horse", append(settings, "sip_cafile "+a.path)...)
			b.wait(t, registered)
			d.waitLog(t, `"label":"Workshop"`)
			checkSilent(t, d, b)
		})
	}
}

func TestOpenSSLRegistersWithACertificateAlone(t *testing.T) {
	requireProgram(t, "openssl", "openssl")
	t.Parallel()
	a, phones := newAuthority(t), newAuthority(t)
	d := startSecureDaemon(t, a, "", certifiedPeers, "client_ca = "+phones.path)
	path := phones.signPhone(t, "gw1.example.com", time.Now().Add(time.Hour))
	var printed output
	command := exec.Command("openssl", "s_client", "-connect", d.tls.String(), "-CAfile", a.path, "-verify_return_error",
		"-cert", path, "-key", path, "-quiet")
	command.Stdout, command.Stderr = &printed, &printed
	command.Stdin = strings.NewReader("REGISTER sip:test SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK-1\r\nFrom: <sip:3001@test>;tag=1\r\n" +
		"To: <sip:3001@test>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\nContact: <sip:x@127.0.0.1:9>\r\nContent-Length: 0\r\n\r\n")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	}()
	d.waitLog(t, `"event":"added"`)
	for deadline := time.Now().Add(patience); !strings.Contains(printed.String(), "SIP/2.0 200 OK"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("openssl printed:\n%s", printed.String())
		}
	}
}

// Chromium opens no WebSocket where it is asked for a certificate.
func TestABrowserIsNotAskedForACertificate(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><title>page</title>`)
	}))
	t.Cleanup(page.Close)
	b := chromium.Start(t, chromium.AnyCertificate)
	a, phones := newAuthority(t), newAuthority(t)
	d := startSecureDaemon(t, a, "", certifiedPeers, "client_ca = "+phones.path)
	b.Open(page.URL)
	b.Eval(fmt.Sprintf(`(window.happened = "", window.socket = new WebSocket("wss://%v", "sip"),
		socket.onopen = () => happened += "open", socket.onerror = () => happened += "error", "")`, d.wss))
	b.Wait(`happened === "open"`)
}
