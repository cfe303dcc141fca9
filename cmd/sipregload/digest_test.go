package main

import "testing"

func TestDigestOfTheRFCs(t *testing.T) {
	for _, test := range []struct {
		name  string
		proof proof
		want  string
	}{
		{"RFC 2617 §3.5", proof{
			authname: "Mufasa", realm: "testrealm@host.com", secret: "Circle Of Life",
			nonce: []byte("dcd98b7102dd2f0e8b11d0f600bfb0c093"), nc: "00000001", cnonce: "0a4f113b",
			method: "GET", uri: "/dir/index.html",
		}, "6629fae49393a05397450978507c4ef1"},
		{"RFC 7616 §3.9.1", proof{
			authname: "Mufasa", realm: "http-auth@example.org", secret: "Circle of Life",
			nonce: []byte("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"), nc: "00000001",
			cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
			method: "GET", uri: "/dir/index.html",
		}, "8ca523f5e9506fed4657c9700eebdbec"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.proof.response(); string(got[:]) != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}
