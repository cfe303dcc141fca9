package main

import (
	"fmt"
	"regexp"
	"strings"
)

// page is a man page as man(7) describes it.
type page struct{ strings.Builder }

func newPage(name, section, purpose string) *page {
	p := &page{}
	fmt.Fprintf(p, ".TH %q %q \"\" \"sipregd\" \"sipregd\"\n.nh\n.ad l\n", strings.ToUpper(name), section)
	p.heading("NAME")
	p.line(escape(name) + ` \- ` + escape(purpose))
	return p
}

// line adds a line whose text is escaped already.
func (p *page) line(text string) { p.WriteString(text + "\n") }

func (p *page) heading(text string) { p.line(".SH " + escape(text)) }

// paragraph adds text that is Markdown.
func (p *page) paragraph(text string) { p.line(inline(text)) }

// term adds what is explained next. Several may share an explanation.
func (p *page) term(text string, another bool) {
	if another {
		p.line(".TQ")
	} else {
		p.line(".TP")
	}
	p.line(`\fB` + escape(text) + `\fR`)
}

// verbatim adds lines that stay as they are.
func (p *page) verbatim(lines []string) {
	p.line(".RS 4\n.EX")
	for _, line := range lines {
		p.line(escape(line))
	}
	p.line(".EE\n.RE")
}

// escape returns a line of text that roff prints as it is.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	if strings.HasPrefix(text, ".") {
		return `\&` + text
	}
	return text
}

var (
	mdLink = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	mdCode = regexp.MustCompile("`([^`]*)`")
)

// inline returns Markdown as the README has it within a line: links are their texts, code
// is bold.
func inline(markdown string) string {
	var text strings.Builder
	markdown, last := mdLink.ReplaceAllString(markdown, "$1"), 0
	for _, code := range mdCode.FindAllStringSubmatchIndex(markdown, -1) {
		text.WriteString(plain(markdown[last:code[0]]) + `\fB` + plain(markdown[code[2]:code[3]]) + `\fR`)
		last = code[1]
	}
	text.WriteString(plain(markdown[last:]))
	return text.String()
}

// plain escapes a part of a line.
func plain(text string) string { return strings.TrimPrefix(escape("x"+text), "x") }
