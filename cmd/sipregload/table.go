package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"
)

// printTable writes the median and the range of all runs. Ratios are those of
// the medians, since machines differ.
func printTable(out io.Writer, rows []*row, placed string) {
	floor, peer := rows[0], rows[len(rows)-1]
	t := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(t, "| server\t| registrations/s\t| CPU µs each\t| core %\t| p99 ms\t| MB\t| CPU : floor\t| CPU : Kamailio\t|")
	fmt.Fprintln(t, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	for _, r := range rows {
		ratio := "-"
		if strings.HasPrefix(peer.name, "Kamailio") {
			ratio = fmt.Sprintf("%.2f", r.cpu().median/peer.cpu().median)
		}
		fmt.Fprintf(t, "| %s\t| %s\t| %s\t| %.0f\t| %s\t| %.0f\t| %.2f\t| %s\t|\n", r.name,
			r.spread(func(m measurement) float64 { return m.perSecond }).text("%.0f"),
			r.cpu().text("%.1f"),
			r.spread(func(m measurement) float64 { return 100 * m.busy }).median,
			r.spread(func(m measurement) float64 { return micros(m.p99) / 1000 }).text("%.2f"),
			r.spread(func(m measurement) float64 { return float64(m.resident) / 1e6 }).median,
			r.cpu().median/floor.cpu().median, ratio)
	}
	_ = t.Flush()
	fmt.Fprintf(out, "\nMedian and range of %d runs. Where core %% is well below 100, something else held the server up\n"+
		"(the generator, or other work on this machine), and the rate is not its limit.\n%s\n", len(rows[0].runs), machine(placed))
}

func (r *row) cpu() spread {
	return r.spread(func(m measurement) float64 { return micros(m.cpu) })
}

// spread is the median of some figures and their range.
type spread struct{ median, low, high float64 }

func (r *row) spread(figure func(measurement) float64) spread {
	figures := make([]float64, len(r.runs))
	for i, m := range r.runs {
		figures[i] = figure(m)
	}
	return spreadOf(figures)
}

func spreadOf(figures []float64) spread {
	slices.Sort(figures)
	n := len(figures)
	return spread{(figures[(n-1)/2] + figures[n/2]) / 2, figures[0], figures[n-1]}
}

func (s spread) text(format string) string {
	return fmt.Sprintf(format+" ("+format+"-"+format+")", s.median, s.low, s.high)
}

// machine says what the figures were measured on.
func machine(placed string) string {
	var name unix.Utsname
	_ = unix.Uname(&name)
	return fmt.Sprintf("%s, %d cores, %s, Linux %s; %s.",
		processor(), runtime.NumCPU(), runtime.Version(), unix.ByteSliceToString(name.Release[:]), placed)
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(text), "model name\t: ")
	model, _, _ := strings.Cut(rest, "\n")
	return model
}
