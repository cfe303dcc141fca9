package digest

import (
	"testing"
	"time"

	"sipregd/internal/message"
)

// FuzzAuthorization reads arbitrary credentials and verifies what comes of
// them. None is ever right.
func FuzzAuthorization(f *testing.F) {
	f.Add(`Digest username="a", realm="r", nonce="n", uri="sip:r", response="00000000000000000000000000000000"`)
	f.Add(`Digest username="a",realm="r",nonce="n",uri="sip:r",response="0",qop=auth,nc=00000001,cnonce="c",algorithm=SHA-256`)
	f.Add(`digest username = a , realm=r,, nonce=n, uri=sip:r, response=0, qop="auth", nc="1", cnonce=c`)
	f.Add("Basic YTpi")
	parser := message.NewParser()
	a := New([32]byte{1}, []Algorithm{MD5, SHA256}, time.Minute)
	known := NewA1("a", "r", "secret")
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, text string) {
		request, err := parser.Parse([]byte("REGISTER sip:r SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n"+
			"From: <sip:a@r>;tag=1\r\nTo: <sip:a@r>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nAuthorization: "+
			text+"\r\n\r\n"), message.Flow{})
		if err != nil {
			return
		}
		for i := range request.Digests {
			for _, a1 := range []A1{{}, known} {
				switch result := a.Verify(now, "REGISTER", &request.Digests[i], a1, 0); result {
				case Right, Stale, Replayed:
					t.Errorf("%q proves a secret: %v", text, result)
				}
			}
		}
	})
}
