package shared

import (
	"errors"
	"strings"
	"testing"
)

// What keeps a node from Redis comes with what to do.
func TestAdvice(t *testing.T) {
	small := startServer(t, "--maxmemory", "1")
	replica := startServer(t)
	replica.cli("REPLICAOF", "127.0.0.1", "1")
	locked := startServer(t, "--requirepass", "secret")
	for name, test := range map[string]struct{ url, want string }{
		"nobody there":         {"redis://127.0.0.1:1", "start Redis there"},
		"no such host":         {"redis://nowhere.invalid:6379", "mend DNS"},
		"a wrong password":     {"redis://:wrong@" + locked.address(), "right name and password"},
		"no password":          {locked.url(), "name and password of its account"},
		"no memory":            {small.url(), "raise maxmemory"},
		"a replica":            {replica.url(), "name its master"},
		"no Sentinel":          {replica.url() + "?master_set=mymaster", "that is no Sentinel"},
		"TLS where there none": {strings.Replace(small.url(), "redis:", "rediss:", 1), "speaks TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			store, _ := openBrief(t, test.url, "one")
			cause := store.Status().Failure
			if cause == nil {
				t.Fatal("all is well")
			}
			if !strings.Contains(Advice(cause), test.want) {
				t.Errorf("%v: %s", cause, Advice(cause))
			}
		})
	}
}

func TestAdviceOfCertificatesAndURLs(t *testing.T) {
	for cause, want := range map[string]string{
		"tls: failed to verify certificate: x509: certificate is valid for redis1, not redis2": "as server_name",
		"tls: failed to verify certificate: x509: certificate has expired or is not yet valid": "renew the certificate",
		"remote error: tls: certificate required":                                              "certificate and private_key",
		"tls: failed to verify certificate: x509: certificate signed by unknown authority":     "as ca in",
		"ERR This instance has cluster support disabled":                                       "that is no Cluster",
		"ERR DB index is out of range":                                                         "number of a database",
		"anything else":                                                                        "see its log",
	} {
		if got := Advice(errors.New(cause)); !strings.Contains(got, want) {
			t.Errorf("%s: %s", cause, got)
		}
	}
}
