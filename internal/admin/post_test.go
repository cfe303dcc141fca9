package admin

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestCauseOf(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"plain", errors.New("connection refused"), "connection refused"},
		{"with a URL", &url.Error{Op: "Post", URL: "http://hunter2@192.0.2.1", Err: errors.New("EOF")}, "EOF"},
		{"with what a terminal acts upon", errors.New("for \x1b[31m\u009b\n"), "for \ufffd[31m\ufffd\ufffd"},
		{"long", errors.New(strings.Repeat("x", 1000)), strings.Repeat("x", maxCause)},
	} {
		if got := causeOf(test.err).Error(); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
