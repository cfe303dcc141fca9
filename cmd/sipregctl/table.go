package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

const columnGap = "  "

// column is one of a table.
type column struct {
	title string

	// rank says when it has to make room on a narrow terminal: those of the
	// highest rank shrink first, and are left out first, unless they always stay.
	rank  int
	stays bool

	// least is how narrow its cells may become, with an ellipsis where that cuts
	// them. None: it is a number or a time, which says nothing when cut.
	least int

	// usual is how wide its cells are as a rule, where rows come one by one. On a
	// terminal its width is fixed then: a header that has scrolled by stays true.
	usual int
}

// table prints rows beneath titles, and fits them to the terminal. Rows may come
// in batches: a column grows for wider ones.
type table struct {
	out     io.Writer
	width   int // cells of the terminal; 0: as wide as it takes
	columns []column
	natural []int // the width that all cells up to now need
	shown   []int // the width of each column; -1: it is left out
	titled  bool
}

func newTable(out io.Writer, width int, columns ...column) *table {
	t := &table{out: out, width: width, columns: columns}
	for _, c := range columns {
		t.natural = append(t.natural, max(runewidth.StringWidth(c.title), c.usual))
	}
	return t
}

// terminalWidth returns how many cells a line of the terminal has, and 0 where
// out is no terminal, or wide is wanted.
func terminalWidth(out io.Writer, wide bool) int {
	file, ok := out.(*os.File)
	if !ok || wide {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// add prints rows of cells, whose texts may come from the network. It fails where
// nobody takes the output.
func (t *table) add(rows ...[]string) error {
	for _, row := range rows {
		for i := range row {
			row[i] = visible(row[i])
			if !t.isFixed() {
				t.natural[i] = max(t.natural[i], runewidth.StringWidth(row[i]))
			}
		}
	}
	t.shown = fit(t.columns, t.natural, t.width)
	if t.isFixed() {
		t.spread()
	}
	if !t.titled {
		t.titled = true
		var titles []string
		for _, c := range t.columns {
			titles = append(titles, c.title)
		}
		if err := t.print(titles); err != nil {
			return err
		}
	}
	for _, row := range rows {
		if err := t.print(row); err != nil {
			return err
		}
	}
	return nil
}

// isFixed tells whether widths are settled before the rows are known.
func (t *table) isFixed() bool {
	return t.width > 0 && slices.ContainsFunc(t.columns, func(c column) bool { return c.usual > 0 })
}

// widestSpread is how wide a column becomes for texts that may come.
const widestSpread = 40

// spread gives the cells that are left to the columns of texts, in turn.
func (t *table) spread() {
	for spare, last := t.width-total(t.shown), -1; spare > 0 && spare != last; {
		last = spare
		for i, c := range t.columns {
			if spare > 0 && c.least > 0 && t.shown[i] >= 0 && t.shown[i] < widestSpread {
				t.shown[i]++
				spare--
			}
		}
	}
}

func (t *table) print(cells []string) error {
	var line strings.Builder
	for i, cell := range cells {
		if t.shown[i] < 0 {
			continue
		}
		cell = runewidth.Truncate(cell, t.shown[i], "…")
		line.WriteString(cell)
		line.WriteString(strings.Repeat(" ", max(0, t.shown[i]-runewidth.StringWidth(cell))))
		line.WriteString(columnGap)
	}
	_, err := fmt.Fprintln(t.out, strings.TrimRight(line.String(), " "))
	return err
}

// end prints a line below the table, and says for which columns there was no room.
func (t *table) end(line string) {
	if titles := t.leftOut(); len(titles) > 0 {
		line += "; no room for " + strings.Join(titles, ", ") + " (--wide)"
	}
	paragraph(t.out, t.width, "", line)
}

func (t *table) leftOut() []string {
	var titles []string
	for i, width := range t.shown {
		if width < 0 {
			titles = append(titles, t.columns[i].title)
		}
	}
	return titles
}

// fit returns how wide each column is to be in width cells, -1 for those that are
// left out. Columns shrink before others are left out.
func fit(columns []column, natural []int, width int) []int {
	widths := slices.Clone(natural)
	if width <= 0 {
		return widths
	}
	ranked := byRank(columns)
	for _, i := range ranked {
		if total(smallest(columns, widths)) <= width {
			break
		}
		if !columns[i].stays {
			widths[i] = -1
		}
	}
	for _, i := range ranked {
		if excess := total(widths) - width; excess > 0 && widths[i] >= 0 {
			widths[i] = max(widths[i]-excess, smallest(columns, widths)[i])
		}
	}
	for total(widths) > width && slices.Max(widths) > 1 { // a few cells: nothing fits any more
		widths[slices.Index(widths, slices.Max(widths))]--
	}
	return widths
}

// byRank returns the indices of the columns, that of the highest rank first.
func byRank(columns []column) []int {
	var ranked []int
	for i := range columns {
		ranked = append(ranked, i)
	}
	slices.SortStableFunc(ranked, func(a, b int) int { return columns[b].rank - columns[a].rank })
	return ranked
}

// smallest returns how narrow each column may become.
func smallest(columns []column, widths []int) []int {
	narrow := slices.Clone(widths)
	for i, c := range columns {
		if c.least > 0 {
			narrow[i] = min(narrow[i], c.least)
		}
	}
	return narrow
}

// total returns how many cells a line takes.
func total(widths []int) (sum int) {
	for _, width := range widths {
		if width >= 0 {
			sum += width + len(columnGap)
		}
	}
	return sum - len(columnGap)
}
