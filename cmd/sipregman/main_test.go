package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Both samples hold all keys: tests of internal/config and internal/peers see to that.
func TestPagesHaveAllKeysOfTheSamples(t *testing.T) {
	settings, settingsErr := settingsPage(read(t, "configs/sipregd.conf"))
	peers, peersErr := peersPage(read(t, "README.md"), read(t, "configs/peers.conf"))
	if settingsErr != nil || peersErr != nil {
		t.Fatal(settingsErr, peersErr)
	}
	keys, _, _ := strings.Cut(peers, ".SH EXAMPLE")
	for _, test := range []struct{ sample, page string }{
		{"configs/sipregd.conf", settings},
		{"configs/peers.conf", keys},
	} {
		found := regexp.MustCompile(`(?m)^;?(\w+) = `).FindAllStringSubmatch(read(t, test.sample), -1)
		if len(found) < 20 {
			t.Errorf("%s: only %d keys were found", test.sample, len(found))
		}
		for _, key := range found {
			if !regexp.MustCompile(`(?m)^\\fB(\w+, )*` + key[1] + `\b`).MatchString(test.page) {
				t.Errorf("the page made of %s does not explain %s", test.sample, key[1])
			}
		}
	}
}

func TestSettingsPage(t *testing.T) {
	page, err := settingsPage("; sipregd.conf: how.\n\n[listen]\n; Where. Examples:\n;   udp = :1\nudp = :5060\ntcp = :5060\n; .more\ntls =\n")
	_, text, _ := strings.Cut(page, ".SH DESCRIPTION\n")
	text, _, _ = strings.Cut(text, ".SH SEE ALSO")
	want := "sipregd.conf: how.\n.SH [listen]\n.TP\n\\fBudp = :5060\\fR\n.TQ\n\\fBtcp = :5060\\fR\nWhere. Examples:\n" +
		".RS 4\n.EX\n  udp = :1\n.EE\n.RE\n.TP\n\\fBtls =\\fR\n\\&.more\n"
	if err != nil || text != want {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := settingsPage("[listen]\nnonsense\n"); err == nil {
		t.Error("a line that says nothing is taken")
	}
}

func TestDaemonPageHasTheOptions(t *testing.T) {
	page, err := daemonPage("Usage of sipregd:\n  -check\n    \ttest and exit\n  -config FILE\n    \tread from FILE (default \"/etc\")\n")
	for _, part := range []string{".TP\n\\fB\\-\\-check\\fR\ntest and exit\n", ".TP\n\\fB\\-\\-config FILE\\fR\nread from FILE (default \"/etc\")\n"} {
		if err != nil || !strings.Contains(page, part) {
			t.Errorf("no %q, %v, in:\n%s", part, err, page)
		}
	}
	if _, err := daemonPage("sipregd: not found"); err == nil {
		t.Error("a help without options is taken")
	}
}

func TestInline(t *testing.T) {
	for markdown, want := range map[string]string{
		"plain - text":                    `plain \- text`,
		"a `secret` of [it](#there)":      `a \fBsecret\fR of it`,
		"`MD5:` or `SHA-256:`; a\\b":      `\fBMD5:\fR or \fBSHA\-256:\fR; a\eb`,
		"`printf '%s' .x`, `[registrar]`": `\fBprintf \(aq%s\(aq .x\fR, \fB[registrar]\fR`,
	} {
		if got := inline(markdown); got != want {
			t.Errorf("%q: got %q, want %q", markdown, got, want)
		}
	}
}
