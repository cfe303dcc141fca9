package main

import (
	"errors"
	"regexp"
	"strings"
)

// keyRow is a row of the README's table of keys: one key or several, and what they mean.
var keyRow = regexp.MustCompile("^\\| (`\\w+`(?:, `\\w+`)*) \\| (.*) \\|$")

// peersPage returns peers.conf(5): the README's table of keys, and the sample.
func peersPage(readme, sample string) (string, error) {
	p := newPage("peers.conf", "5", "who may register at the SIP registrar sipregd")
	p.heading("DESCRIPTION")
	head, _, _ := strings.Cut(sample, "\n\n")
	p.paragraph("A change counts after systemctl reload sipregd. This file tells of itself:")
	p.verbatim(strings.Split(head, "\n"))
	p.heading("KEYS")
	_, section, _ := strings.Cut(readme, "\n### peers.conf\n")
	section, _, _ = strings.Cut(section, "\n### ")
	rows := 0
	for line := range strings.Lines(section) {
		if row := keyRow.FindStringSubmatch(strings.TrimSpace(line)); row != nil {
			p.term(strings.ReplaceAll(row[1], "`", ""), false)
			p.paragraph(row[2])
			rows++
		}
	}
	if rows == 0 {
		return "", errors.New("README.md has no table of keys below ### peers.conf")
	}
	p.heading("EXAMPLE")
	p.verbatim(strings.Split(strings.TrimSpace(sample), "\n"))
	p.seeAlso("sipregd(8)", "sipregd.conf(5)", "sipregctl(1)")
	return p.String(), nil
}
