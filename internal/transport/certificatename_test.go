package transport

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

// namer is a handler that answers by which names a phone is known.
type namer struct{ echo }

func (*namer) Receive(room, _ []byte, flow message.Flow, _ time.Time) transaction.Reply {
	if flow.Certificate == nil {
		return transaction.Reply{Data: append(room, "nobody\n"...), To: flow.Source}
	}
	return transaction.Reply{Data: append(append(room, strings.Join(flow.Certificate.Names, " | ")...), '\n'), To: flow.Source}
}

// authority signs client certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{}
	a.certificate, a.key = a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign makes a certificate that holds for an hour unless it says until when, and signs
// it with a key of its own where the authority has none yet.
func (a *authority) sign(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := a.certificate, a.key
	if parent == nil {
		parent, signer = template, key
	}
	template.SerialNumber, template.NotBefore = big.NewInt(1), time.Now().Add(-2*time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return signed, key
}

// client returns a configuration that shows a certificate, and nothing of one where
// template is nil.
func (a *authority) client(t *testing.T, template *x509.Certificate) *tls.Config {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true}
	if template == nil {
		return config
	}
	leaf, key := a.sign(t, template)
	shown := &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shown, nil } // whoever is asked for
	return config
}

func writeAuthorities(t *testing.T, path string, authorities ...*authority) {
	t.Helper()
	text := []byte("the phones' authorities\n")
	for _, a := range authorities {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})...)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// asking is a server that asks phones for certificates.
type asking struct {
	*Server
	shown                    *Certificate
	certificate, key, client string // paths
	trouble                  chan error
}

func newAsking(t *testing.T, believed ...*authority) *asking {
	t.Helper()
	a := &asking{client: filepath.Join(t.TempDir(), "clients.pem"), trouble: make(chan error, 10)}
	a.certificate, a.key = writePair(t, "server", time.Now().Add(time.Hour))
	a.shown = NewCertificate(a.read(t, believed...))
	var err error
	a.Server, err = Listen(Addresses{TLS: []string{"127.0.0.1:0"}, WSS: []string{"127.0.0.1:0"}}, a.shown, time.Hour, func(err error) { a.trouble <- err })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	a.Serve(&namer{}, nothing)
	return a
}

func (a *asking) read(t *testing.T, believed ...*authority) *Pair {
	t.Helper()
	writeAuthorities(t, a.client, believed...)
	pair, err := ReadPair(a.certificate, a.key, a.client)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// ask returns how the server knows a phone, or the error that ended the stream.
func (a *asking) ask(t *testing.T, config *tls.Config) (names string, resumed bool, err error) {
	t.Helper()
	conn := tls.Client(dial(t, "tcp", a.listeners[0].Addr().String()), config)
	if err := conn.Handshake(); err != nil {
		return "", false, err
	}
	write(t, conn, sound)
	names, err = bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(names), conn.ConnectionState().DidResume, err
}

// told returns what the server has told of trouble.
func (a *asking) told(t *testing.T) string {
	t.Helper()
	select {
	case err := <-a.trouble:
		return err.Error()
	case <-time.After(patience):
		t.Fatal("nobody is told")
		return ""
	}
}

func TestAClientCertificateIsKnownByItsNames(t *testing.T) {
	mustURL := func(text string) *url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	many := func(n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprintf("gw%d.example.com", i))
		}
		return names
	}
	tests := []struct {
		name     string
		template *x509.Certificate
		want     string
	}{
		{"none", nil, "nobody"},
		{"subject", &x509.Certificate{Subject: pkix.Name{CommonName: "GW 1", Organization: []string{"Example, Ltd"}}}, `cn=gw 1,o=example\, ltd | gw 1`},
		{"all of SAN", &x509.Certificate{Subject: pkix.Name{CommonName: "gw"}, DNSNames: []string{"GW1.example.com", "gw2.example.com"},
			EmailAddresses: []string{"A@example.com"}, URIs: []*url.URL{mustURL("sip:gw1@example.com")}},
			"cn=gw | gw | gw1.example.com | gw2.example.com | a@example.com | sip:gw1@example.com"},
		{"for clients", &x509.Certificate{Subject: pkix.Name{CommonName: "gw"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, "cn=gw | gw"},
		{"parts that look like a subject", &x509.Certificate{Subject: pkix.Name{CommonName: "CN=gw,O=Example"}, DNSNames: []string{"cn=gw"},
			URIs: []*url.URL{mustURL("cn=gw"), mustURL("sip:gw;x=y")}}, `cn=cn=gw\,o=example | sip:gw;x=y`},
		{"too long, and not to be written", &x509.Certificate{Subject: pkix.Name{CommonName: "gw\n" + strings.Repeat("x", 300)},
			DNSNames: []string{strings.Repeat("x", 255), strings.Repeat("x", 256), "a\x00b", " a", ""}}, strings.Repeat("x", 255)},
		{"too many", &x509.Certificate{DNSNames: many(100)}, strings.Join(many(message.MaxCertificateNames), " | ")},
	}
	a := newAuthority(t, "phones")
	s := newAsking(t, a)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				config := a.client(t, test.template)
				config.MaxVersion = version
				if names, _, err := s.ask(t, config); err != nil || names != test.want {
					t.Errorf("%s: got %q, %v, want %q", tls.VersionName(version), names, err, test.want)
				}
			}
		})
	}
}

func TestAClientCertificateThatIsNotTakenEndsTheStream(t *testing.T) {
	believed, foreign := newAuthority(t, "phones"), newAuthority(t, "phones")
	gw := pkix.Name{CommonName: "gw\x1b[2J"}
	tests := []struct {
		name     string
		signer   *authority
		template *x509.Certificate
		want     string
	}{
		{"foreign", foreign, &x509.Certificate{Subject: gw}, "x509: certificate signed by unknown authority"},
		{"expired", believed, &x509.Certificate{Subject: gw, NotAfter: time.Now().Add(-time.Hour)}, "x509: certificate has expired or is not yet valid"},
		{"of itself", &authority{}, &x509.Certificate{Subject: gw}, "x509: certificate signed by unknown authority"},
		{"of a server", believed, &x509.Certificate{Subject: gw, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, "x509: certificate specifies an incompatible key usage"},
	}
	s := newAsking(t, believed)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if names, _, err := s.ask(t, test.signer.client(t, test.template)); err == nil {
				t.Errorf("is known as %q", names)
			}
			got := s.told(t)
			if !strings.HasPrefix(got, "no TLS with 127.0.0.1:") || !strings.Contains(got, `: its client certificate "CN=gw\x1b[2J" is not taken: `+test.want) {
				t.Errorf("told is %q", got)
			}
		})
	}
}

// New streams are judged by the new authorities, those that resume a session too.
// Streams that are open live on.
func TestAuthoritiesAreReplacedWhileStreamsLive(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			first, second := newAuthority(t, "first"), newAuthority(t, "second")
			s := newAsking(t, first)
			phone := first.client(t, &x509.Certificate{Subject: pkix.Name{CommonName: "one"}})
			phone.MaxVersion, phone.ClientSessionCache, phone.ServerName = version, tls.NewLRUClientSessionCache(0), "server"
			other := second.client(t, &x509.Certificate{Subject: pkix.Name{CommonName: "two"}})
			old := tls.Client(dial(t, "tcp", s.listeners[0].Addr().String()), phone)
			reader := bufio.NewReader(old)
			check := func(when string) {
				t.Helper()
				write(t, old, sound)
				if line := readLine(t, reader); line != "cn=one | one" {
					t.Errorf("%s the old stream is known as %q", when, line)
				}
			}
			check("before")
			if names, resumed, err := s.ask(t, phone); names != "cn=one | one" || !resumed || err != nil {
				t.Errorf("a resumed session is known as %q, %v, %v", names, resumed, err)
			}
			if _, _, err := s.ask(t, other); err == nil {
				t.Error("a foreign certificate is taken")
			}
			for _, next := range [][]*authority{{first, second}, {second}} {
				pair := s.read(t, next...)
				if isOther, hasOthers := s.shown.Compare(pair); isOther || !hasOthers {
					t.Error("it is not told that the authorities are others")
				}
				s.shown.Replace(pair)
			}
			if names, _, err := s.ask(t, other); names != "cn=two | two" || err != nil {
				t.Errorf("the other is known as %q, %v", names, err)
			}
			if names, _, err := s.ask(t, phone); err == nil {
				t.Errorf("the first is known as %q", names)
			}
			check("after")
		})
	}
}

func TestReadAuthorities(t *testing.T) {
	certificate, key := writePair(t, "server", time.Now().Add(100*24*time.Hour))
	path := filepath.Join(t.TempDir(), "clients.pem")
	a := newAuthority(t, "phones")
	writeAuthorities(t, path, a)
	pair, err := ReadPair(certificate, key, path)
	if err != nil {
		t.Fatal(err)
	}
	if got := pair.Warnings(time.Now()); len(got) != 1 || !strings.HasPrefix(got[0], `[listen] client_ca: "CN=phones": it expires on `) {
		t.Errorf("warnings: %q", got)
	}
	whole := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}))
	broken := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw[:100]}))
	for name, test := range map[string]struct{ text, want string }{
		"empty":         {"", "there is no certificate in " + path + "; write those who sign the certificates of phones there, in PEM, or leave client_ca empty"},
		"a key":         {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "there is no certificate in "},
		"one and half":  {whole + whole[:200], "certificate 2 of " + path + " is not all there; write those who sign"},
		"half of one":   {whole[:200], "certificate 1 of " + path + " is not all there; write those who sign"},
		"a broken one":  {broken, "certificate 1 of " + path + ": x509: malformed certificate; write those who sign"},
		"no such file":  {"-", "no such file or directory; write the path of a file in PEM that is there"},
		"one that lies": {"Believe me.\n", "there is no certificate in "},
	} {
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if test.text == "-" {
			os.Remove(path)
		}
		if _, err := ReadPair(certificate, key, path); err == nil || !strings.HasPrefix(err.Error(), "[listen] client_ca: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A browser shows a certificate for whatever page it has open. A phone that is none
// has no page.
func TestACertificateOfAForeignPageCountsForNothing(t *testing.T) {
	a := newAuthority(t, "phones")
	s := newAsking(t, a)
	address := s.listeners[1].Addr().String()
	for name, test := range map[string]struct {
		origin []string
		want   string
	}{
		"no page":             {nil, "cn=gw | gw"},
		"the server itself":   {[]string{"https://" + address}, "cn=gw | gw"},
		"elsewhere":           {[]string{"https://evil.example"}, "nobody"},
		"another port":        {[]string{"https://127.0.0.1:1"}, "nobody"},
		"nowhere":             {[]string{"null"}, "nobody"},
		"none that it is":     {[]string{"https://%"}, "nobody"},
		"both, one elsewhere": {[]string{"https://" + address, "https://evil.example"}, "nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			client := http.Client{Transport: &http.Transport{TLSClientConfig: a.client(t, &x509.Certificate{Subject: pkix.Name{CommonName: "gw"}})}}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			socket, _, err := websocket.Dial(ctx, "wss://"+address, &websocket.DialOptions{
				HTTPClient: &client, Subprotocols: []string{"sip"}, HTTPHeader: http.Header{"Origin": test.origin}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = socket.CloseNow() }()
			writeTo(t, socket, websocket.MessageText, sound)
			if _, got := readFrame(t, socket); strings.TrimSpace(got) != test.want {
				t.Errorf("is known as %q, want %q", got, test.want)
			}
		})
	}
}

// RFC 8701 §3.1. TestABrowserIsNotAskedForACertificate has a real one.
func TestIsBrowser(t *testing.T) {
	for name, test := range map[string]struct {
		suites []uint16
		want   bool
	}{
		"none":         {nil, false},
		"usual ones":   {[]uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, false},
		"GREASE first": {[]uint16{0x0a0a, tls.TLS_AES_128_GCM_SHA256}, true},
		"GREASE":       {[]uint16{tls.TLS_AES_128_GCM_SHA256, 0xfafa}, true},
		"unlike bytes": {[]uint16{0x0a1a, 0x1a0a, 0x0a0b, 0x0b0b}, false},
	} {
		if got := isBrowser(&tls.ClientHelloInfo{CipherSuites: test.suites}); got != test.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
