package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// widestParagraph is where lines of prose break on a wide terminal: longer ones
// are hard to read.
const widestParagraph = 100

// paragraph prints text below and beside its first words, which stand out by as
// much as they are long. On a terminal of so many cells its lines break between
// words; with 0 they do not. Neither text comes out as it is, if it is not
// printable.
func paragraph(out io.Writer, width int, first, text string) {
	line, indent := visible(first), strings.Repeat(" ", runewidth.StringWidth(visible(first)))
	if width <= 0 {
		fmt.Fprintln(out, strings.TrimRight(line+visible(text), " "))
		return
	}
	width = min(width, widestParagraph)
	begun := false // the line has a word
	for word := range strings.FieldsSeq(visible(text)) {
		switch {
		case !begun:
			line += word
		case runewidth.StringWidth(line)+1+runewidth.StringWidth(word) > width:
			fmt.Fprintln(out, line)
			line = indent + word
		default:
			line += " " + word
		}
		begun = true
	}
	fmt.Fprintln(out, strings.TrimRight(line, " "))
}

// detail is a line of what is told of one thing.
type detail struct{ name, text string }

// printDetails prints each that has a text, the names below one another.
func printDetails(out io.Writer, width int, all []detail) {
	longest := 0
	for _, d := range all {
		if d.text != "" {
			longest = max(longest, len(d.name))
		}
	}
	for _, d := range all {
		if d.text != "" {
			paragraph(out, width, fmt.Sprintf("%-*s  ", longest, d.name), d.text)
		}
	}
}
