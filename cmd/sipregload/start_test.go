package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestStartIsReadFromTheLog(t *testing.T) {
	began := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	const reading = `{"level":"info","event":"reading","bindings":500000,"time":"2026-11-23T12:00:01.000Z","message":"reading bindings"}` + "\n" +
		`{"level":"info","event":"loaded","bindings":1000000,"took_ms":1500.25,"time":"2026-11-23T12:00:02.000Z","message":"bindings read"}`
	s := &server{began: began}
	_, _ = s.output.Write([]byte("no JSON\n" +
		"gc 1 @0.5s 2%: 0.018+1.2+0.03 ms clock, 0.018+0.3/0/0+0.03 ms cpu, 4->5->3 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 1 P\n" +
		"gc 2 @0.9s 2%: 0.018+1.2+0.03 ms clock, 0.018+0.3/0/0+0.03 ms cpu, 40->50->30 MB, 40 MB goal, 0 MB stacks, 0 MB globals, 1 P (forced)\n" + reading + "\n" +
		`{"level":"info","time":"2026-11-23T12:00:03.250Z","peers":5,"message":"started"}` + "\n"))
	var r startRow
	r.readLog(s)
	if r.started != 3250*time.Millisecond || r.read != 1_000_000 || r.reading != 1500250*time.Microsecond || r.live != 30<<20 {
		t.Errorf("started after %v, %d bindings read in %v, %d bytes live", r.started, r.read, r.reading, r.live)
	}
}

func TestBytesPerBindingAreWhatIsMoreThanWithoutThem(t *testing.T) {
	sb := &startBench{benchmark: &benchmark{options: &options{bindings: 1_000_000, sharing: 1, refreshes: 2000}}}
	none := &startRow{name: "none", ready: 7 * time.Second, first: memory{resident: 900e6}, loaded: memory{resident: 1000e6}, live: 500e6}
	full := &startRow{name: "full", ready: 10 * time.Second, started: 9 * time.Second, reading: 2 * time.Second,
		first: memory{resident: 1500e6}, loaded: memory{resident: 1650e6, peak: 2000e6}, live: 840e6}
	var out bytes.Buffer
	sb.printStarts(&out, none, full)
	want := []string{
		"sipregd, file none full", "--- --- ---",
		"exec to first answer, s 7.00 10.00",
		`exec to the log line "started", s 0.00 9.00`,
		"to first answer for bindings, s 0.00 3.00",
		"reading bindings, by the log, s 0.00 2.00",
		"VmRSS when ready, MB 900 1500", "per binding, B 0 600", "in all by bindings, B 900 1500",
		"VmRSS after the load, MB 1000 1650", "per binding, B 0 650", "in all by bindings, B 1000 1650",
		"VmHWM, MB 0 2000", "live heap, MB 500 840", "per binding, B 0 340",
	}
	lines := strings.Split(out.String(), "\n")
	for i := range want {
		if got := strings.Join(strings.Fields(strings.ReplaceAll(lines[i], "|", "")), " "); got != want[i] {
			t.Errorf("%s, want %s", got, want[i])
		}
	}
}
