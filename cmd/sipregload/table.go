package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

const (
	floorName     = "UDP echo (the floor)"
	memoryName    = "sipregd, memory"
	bothCoresName = "sipregd, memory, both cores"
	kamailioName  = "Kamailio, stateless"
	statefulName  = "Kamailio, stateful"

	manyStreams = 1000
)

func streamsName(count int) string {
	if count == 1 {
		return memoryName + ", TCP, 1 stream"
	}
	return fmt.Sprintf("%s, TCP, %d streams", memoryName, count)
}

const explanation = "Where core % is well below 100, something else held the server up\n" +
	"(the generator, the disk, or other work on this machine), and the rate is not its limit."

// printServers writes the median and the range of all runs. Ratios are those
// of the medians, since machines differ.
func printServers(out io.Writer, rows []*row) {
	if len(rows) == 0 {
		return
	}
	t := newTable(out, "server", "registrations/s", "CPU µs each", "core %", "generator %", "p99 ms", "MB", "CPU : floor", "CPU : Kamailio")
	for _, r := range rows {
		t.add(append(r.rate(), ratio(r.cpu(), costOf(rows, floorName)), ratio(r.cpu(), costOf(rows, kamailioName)))...)
	}
	t.flush()
	fmt.Fprintf(out, "\nMedian and range of %d runs. %s\n", len(rows[0].runs), explanation)
	printStreams(out, rows)
	printBothCores(out, rows)
}

// printStreams says what a registration costs over streams.
func printStreams(out io.Writer, rows []*row) {
	udp := costOf(rows, memoryName)
	for _, r := range rows {
		if r.over.transport == "TCP" && udp.median > 0 {
			fmt.Fprintf(out, "%q takes %s times the CPU of UDP.\n", r.name, ratio(r.cpu(), udp))
		}
	}
}

// printBothCores says what two cores would be worth without the generator.
func printBothCores(out io.Writer, rows []*row) {
	one, two := costOf(rows, memoryName), costOf(rows, bothCoresName)
	if one.median == 0 || two.median == 0 {
		return
	}
	fmt.Fprintf(out, "In the row %q the generator takes its part of the two, so that the rate is not the server's. A\n"+
		"registration takes %.1f µs of CPU there and %.1f µs on one core: two cores of its own serve 2 * %.1f / %.1f = %.2f\n"+
		"times as many as one.\n", bothCoresName, two.median, one.median, one.median, two.median, 2*one.median/two.median)
}

// rate is what every row of a top rate tells.
func (r *row) rate() []string {
	return []string{
		r.name,
		r.perSecond().text("%.0f"),
		r.cpu().text("%.1f"),
		fmt.Sprintf("%.0f", r.busy().median),
		fmt.Sprintf("%.0f", r.generator().median),
		r.percentile(wholes, 99).text("%.2f"),
		fmt.Sprintf("%.0f", r.resident().median),
	}
}

// costOf returns the processor time of a row by its name, nothing if there is
// no such row.
func costOf(rows []*row, name string) spread {
	for _, r := range rows {
		if r.name == name {
			return r.cpu()
		}
	}
	return spread{}
}

func ratio(a, b spread) string {
	if b.median == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", a.median/b.median)
}

// printStores writes what each store does at its top rate, and what the file
// store takes for each that the memory store takes.
func (b *benchmark) printStores(out io.Writer, memory, file *storeRows) {
	t := newTable(out, "sipregd", "registrations/s", "CPU µs each", "core %", "generator %", "p99 ms", "MB", "time : memory", "CPU : memory")
	add := func(base, r *row) {
		t.add(append(r.rate(), ratio(base.perSecond(), r.perSecond()), ratio(r.cpu(), base.cpu()))...)
	}
	if b.wants(rowNew) {
		add(&memory.fresh, &memory.fresh)
		add(&memory.fresh, &file.fresh)
	}
	if b.wants(rowRefresh) {
		add(&memory.refreshed, &memory.refreshed)
		add(&memory.refreshed, &file.refreshed)
	}
	t.flush()
	fmt.Fprintf(out, "\nMedian and range of %d runs with %d peers, %d of them at once. New: AORs that were bound to\n"+
		"nothing. Refreshes: %d AORs in turns. %s\n", b.rounds, b.aors, b.pending, b.aors/2, explanation)
}

// printLatencies writes how long phones wait at half the top rate.
func printLatencies(out io.Writer, memory, file *storeRows) {
	fmt.Fprintln(out)
	t := newTable(out, "sipregd", "registrations/s", "core %", "REGISTER to 200: p50 ms", "p99 ms", "most ms",
		"with the challenge: p50 ms", "p99 ms", "most ms", "sent again", "begun late, p99 ms")
	for _, half := range []*row{&memory.freshHalf, &file.freshHalf, &memory.refreshedHalf, &file.refreshedHalf} {
		if len(half.runs) == 0 {
			continue
		}
		t.add(half.name, half.perSecond().text("%.0f"), fmt.Sprintf("%.0f", half.busy().median),
			half.percentile(proofs, 50).text("%.2f"), half.percentile(proofs, 99).text("%.2f"), half.percentile(proofs, 100).text("%.1f"),
			half.percentile(wholes, 50).text("%.2f"), half.percentile(wholes, 99).text("%.2f"), half.percentile(wholes, 100).text("%.1f"),
			half.spread(func(m measurement) float64 { return float64(m.resent) }).text("%.0f"),
			half.percentile(lates, 99).text("%.2f"))
	}
	t.flush()
	fmt.Fprint(out, "\nMedian and range of the runs, each at half the rate of the run before it. An open loop: registrations\n"+
		"begin at a fixed rate, whatever becomes of them, and their time counts from when they were due. REGISTER is\n"+
		"the one with Authorization. What was begun late is the generator's doing, and is in the times.\n")
}

// printDisk writes what the disk takes by itself.
func (b *benchmark) printDisk(out io.Writer) error {
	times, err := syncTimes(b.disk, 500)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nThe disk at %s: 4 KB written and synced in %.2f ms (p50), %.2f ms (p99).\n",
		b.disk, millis(percentile(times, 50)), millis(percentile(times, 99)))
	return nil
}

func (r *row) perSecond() spread {
	return r.spread(func(m measurement) float64 { return m.perSecond })
}

func (r *row) cpu() spread {
	return r.spread(func(m measurement) float64 { return micros(m.cpu) })
}

// busy is in percent of a core.
func (r *row) busy() spread {
	return r.spread(func(m measurement) float64 { return 100 * m.busy })
}

// generator is in percent of a core, too.
func (r *row) generator() spread {
	return r.spread(func(m measurement) float64 { return 100 * m.generator })
}

// resident is in megabytes.
func (r *row) resident() spread {
	return r.spread(func(m measurement) float64 { return float64(m.resident) / 1e6 })
}

// timesOf are times of one kind, in order.
type timesOf func(measurement) []time.Duration

func wholes(m measurement) []time.Duration { return m.latencies }
func firsts(m measurement) []time.Duration { return m.challenges }
func proofs(m measurement) []time.Duration { return m.proofs }
func lates(m measurement) []time.Duration  { return m.late }

// percentile is in milliseconds.
func (r *row) percentile(of timesOf, percent int) spread {
	return r.spread(func(m measurement) float64 { return millis(percentile(of(m), percent)) })
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
	if len(figures) == 0 {
		return spread{}
	}
	slices.Sort(figures)
	n := len(figures)
	return spread{(figures[(n-1)/2] + figures[n/2]) / 2, figures[0], figures[n-1]}
}

func (s spread) text(format string) string {
	return fmt.Sprintf(format+" ("+format+"-"+format+")", s.median, s.low, s.high)
}

// table is one in Markdown, with columns in line.
type table struct{ *tabwriter.Writer }

func newTable(out io.Writer, columns ...string) table {
	t := table{tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)}
	t.add(columns...)
	t.add(slices.Repeat([]string{"---"}, len(columns))...)
	return t
}

func (t table) add(cells ...string) { fmt.Fprintf(t, "| %s\t|\n", strings.Join(cells, "\t| ")) }

func (t table) flush() { _ = t.Flush() }

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
