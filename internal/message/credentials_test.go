package message

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseAuthorization(t *testing.T) {
	const plain = "{Digest a r n sip:r 0 MD5 c auth 00000001}"
	tests := []struct {
		name   string
		text   string
		want   string
		reason string
	}{
		{"as RFC 7616 writes it", `Digest username="a", realm="r", nonce="n", uri="sip:r", response="0", algorithm=MD5, cnonce="c", qop=auth, nc=00000001`, plain, ""},
		{"all in quotes", `Digest username="a",realm="r",nonce="n",uri="sip:r",response="0",algorithm="MD5",cnonce="c",qop="auth",nc="00000001"`, plain, ""},
		{"none in quotes", `Digest username=a,realm=r,nonce=n,uri=sip:r,response=0,algorithm=MD5,cnonce=c,qop=auth,nc=00000001`, plain, ""},
		{"white space and empty elements", `Digest , username = "a" ,, realm= "r",nonce ="n",uri="sip:r",response="0" , algorithm=MD5,cnonce="c",qop=auth,nc=00000001 ,`, plain, ""},
		{"names in any case, another order", `Digest NC=00000001,Qop=auth,CNONCE="c",Algorithm=MD5,RESPONSE="0",Uri="sip:r",NONCE="n",Realm="r",USERNAME="a"`, plain, ""},
		{"unknown directives, even twice", `Digest username="a",realm="r",nonce="n",uri="sip:r",response="0",algorithm=MD5,cnonce="c",qop=auth,nc=00000001,opaque="",x=1,x="2,3"`, plain, ""},
		{"RFC 2069", `Digest username="a",realm="r",nonce="n",uri="sip:r",response="0"`, "{Digest a r n sip:r 0    }", ""},
		{"scheme in another case", `dIGEST username="a",realm="r",nonce="n",uri="sip:r",response="0"`, "{dIGEST a r n sip:r 0    }", ""},
		{"commas and escapes inside quotes", `Digest username="a, \"b\" \\c",realm="r",nonce="n",uri="sip:r",response="0"`, `{Digest a, "b" \c r n sip:r 0    }`, ""},
		{"incomplete, and so good for no realm", `Digest realm="r",nonce="n",response="0"`, "{Digest  r n  0    }", ""},
		{"username twice", `Digest username="a",username="b",realm="r",nonce="n",uri="sip:r",response="0"`, "", "Authorization Directive Given Twice"},
		{"nonce twice, the same, in another case", `Digest username="a",realm="r",nonce="n",NONCE="n",uri="sip:r",response="0"`, "", "Authorization Directive Given Twice"},
		{"no comma between", `Digest username="a" realm="r"`, "", "Malformed Authorization"},
		{"unclosed quote", `Digest username="a, realm="r"`, "", "Malformed Authorization"},
		{"NUL behind a backslash", "Digest username=\"a\\\x00\",realm=\"r\"", "", "Malformed Authorization"},
		{"no directive", `Digest`, "", "Malformed Authorization"},
		{"no scheme", `="a"`, "", "Malformed Authorization"},
		{"empty", ``, "", "Malformed Authorization"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := parse(added("Authorization: " + test.text))
			if test.reason != "" {
				wantError(t, err, 400, test.reason)
			} else if err != nil || len(r.Digests) != 1 || fmt.Sprint(r.Digests[0]) != test.want {
				t.Errorf("%v, %v, want %s", r.Digests, err, test.want)
			}
		})
	}
}

// Those of other schemes and realms may stand beside (RFC 3261 §20.7).
func TestParseSeveralAuthorizations(t *testing.T) {
	const digest = `Authorization: Digest username="a",realm="%s",nonce="n",uri="sip:r",response="0"`
	r := parseSound(t, added(fmt.Sprintf(digest, "one"), "Authorization: Basic YTpi", "authorization:Bearer a.b.c",
		fmt.Sprintf(digest, "two"), "Proxy-Authorization: Digest nonsense"))
	var realms []string
	for _, c := range r.Digests {
		realms = append(realms, c.Realm)
	}
	if got := strings.Join(realms, " "); got != "one two" {
		t.Errorf("realms %s", got)
	}
}

// A UE of 3GPP TS 24.229 §5.1.1.2 shows its authname before it was challenged.
func TestCredentialsWithoutNonceOrResponseCountAsNone(t *testing.T) {
	for _, text := range []string{
		`Digest username="a",realm="r",nonce="",uri="sip:r",response=""`,
		`Digest username="a",realm="r",nonce="",uri="sip:r",response="0"`,
		`Digest username="a",realm="r",nonce="n",uri="sip:r",response=""`,
		`Digest username="a",realm="r",uri="sip:r",response="0"`,
		`Digest username="a",realm="r",nonce="n",uri="sip:r"`,
		`Digest username=`,
	} {
		if r := parseSound(t, added("Authorization: "+text)); len(r.Digests) != 0 {
			t.Errorf("%s: %+v", text, r.Digests)
		}
	}
}

func TestCheckOfCredentials(t *testing.T) {
	tests := []struct{ name, text, reason string }{
		{"complete", `username="a",realm="r",nonce="n",uri="sip:r",response="0",qop=auth,nc=1,cnonce="c"`, ""},
		{"RFC 2069", `username="a",realm="r",nonce="n",uri="sip:r",response="0"`, ""},
		{"no username", `realm="r",nonce="n",uri="sip:r",response="0"`, "Authorization Without username"},
		{"empty username", `username="",realm="r",nonce="n",uri="sip:r",response="0"`, "Authorization Without username"},
		{"no uri", `username="a",realm="r",nonce="n",response="0"`, "Authorization Without uri"},
		{"qop without cnonce", `username="a",realm="r",nonce="n",uri="sip:r",response="0",qop=auth,nc=00000001`, "Authorization Without cnonce"},
		{"qop without nc", `username="a",realm="r",nonce="n",uri="sip:r",response="0",qop=auth,cnonce="c"`, "Authorization With Malformed nc"},
		{"nc that is no number", `username="a",realm="r",nonce="n",uri="sip:r",response="0",qop=auth,cnonce="c",nc=0000000g`, "Authorization With Malformed nc"},
		{"nc of nine digits", `username="a",realm="r",nonce="n",uri="sip:r",response="0",qop=auth,cnonce="c",nc=100000000`, "Authorization With Malformed nc"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wrong := parseSound(t, added("Authorization: Digest "+test.text)).Digests[0].Check()
			if test.reason != "" {
				wantError(t, wrong, 400, test.reason)
			} else if wrong != nil {
				t.Error(wrong)
			}
		})
	}
}
