package main

import (
	"errors"
	"regexp"
	"strings"
)

var (
	sectionLine = regexp.MustCompile(`^\[(.+)\]$`)
	keyLine     = regexp.MustCompile(`^(\w+) =`)
)

// settingsPage returns sipregd.conf(5), made of the sample: there comments stand before
// the keys that they are about.
func settingsPage(sample string) (string, error) {
	p := newPage("sipregd.conf", "5", "how the SIP registrar sipregd runs")
	p.heading("DESCRIPTION")
	keys := 0
	var comments []string
	for line := range strings.Lines(sample) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, ";"):
			if keys > 0 {
				p.comments(comments)
				comments, keys = nil, 0
			}
			comments = append(comments, strings.TrimPrefix(line[1:], " "))
		case line == "", sectionLine.MatchString(line):
			if keys > 0 || len(comments) > 0 && line == "" {
				p.comments(comments)
				comments, keys = nil, 0
			}
			if section := sectionLine.FindStringSubmatch(line); section != nil {
				p.heading("[" + section[1] + "]")
			}
		case keyLine.MatchString(line):
			p.term(line, keys > 0)
			keys++
		default:
			return "", errors.New("a line of the sample is neither comment nor section nor key: " + line)
		}
	}
	p.comments(comments)
	p.seeAlso("sipregd(8)", "peers.conf(5)", "sipregctl(1)")
	return p.String(), nil
}

// comments adds the text of comments. Lines that are indented stay as they are.
func (p *page) comments(lines []string) {
	for i := 0; i < len(lines); i++ {
		if !strings.HasPrefix(lines[i], "  ") {
			p.line(escape(lines[i]))
			continue
		}
		first := i
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "  ") {
			i++
		}
		p.verbatim(lines[first : i+1])
	}
}

func (p *page) seeAlso(pages ...string) {
	p.heading("SEE ALSO")
	p.line(strings.Join(pages, ", "))
}
