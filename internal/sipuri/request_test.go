package sipuri

import "testing"

func TestRequest(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"plain", "sip:2001@192.0.2.7:5062", "sip:2001@192.0.2.7:5062"},
		{"parameters stay as they are", "sip:2001@192.0.2.7;transport=tcp;ob;line=A%20b", "sip:2001@192.0.2.7;transport=tcp;ob;line=A%20b"},
		{"headers go", "sip:2001@192.0.2.7;transport=ws?subject=x&priority=urgent", "sip:2001@192.0.2.7;transport=ws"},
		{"a question mark of the user part stays", "sip:a?b@192.0.2.7?x=y", "sip:a?b@192.0.2.7"},
		{"method goes", "sip:2001@192.0.2.7;ob;Method=INVITE;transport=tcp?x=y", "sip:2001@192.0.2.7;ob;transport=tcp"},
		{"method alone goes", "sips:h;method=REGISTER", "sips:h"},
		{"escaped method goes", "sip:h;%6dethod=REGISTER;lr", "sip:h;lr"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := parse(t, test.text).Request(test.text); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
