package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// What does not hold is said below the table, and nothing where all does.
func TestAFloodThatIsNotWithstoodIsSaid(t *testing.T) {
	well := measurement{result: result{begun: 1000, completed: 990}}
	calm := flood{asked: 100, offered: 100, before: 20e6, most: 110e6, after: 40e6, back: time.Second}
	with := func(change func(m *measurement, one *flood)) (measurement, flood) {
		m, one := well, calm
		change(&m, &one)
		return m, one
	}
	for _, test := range []struct {
		name   string
		change func(m *measurement, one *flood)
		want   string // empty: nothing
	}{
		{"all is well", func(*measurement, *flood) {}, ""},
		{"too few are refreshed", func(m *measurement, _ *flood) { m.completed = 989 }, "98.90 % of the refreshes"},
		{"memory grows", func(_ *measurement, one *flood) { one.most = 120e6 }, "by 100 MB in one run"},
		{"memory stays", func(_ *measurement, one *flood) { one.after = 45e6 }, "20 MB before, and 45 MB 1s after"},
		{"too little is sent", func(_ *measurement, one *flood) { one.offered = 94 }, "could not keep it up"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &benchmark{options: &options{rounds: 2}}
			m, one := with(test.change)
			// One run of two is enough.
			r := &floodRow{phones: row{runs: []measurement{well, m}}, floods: []flood{calm, one}}
			var out bytes.Buffer
			b.printFlooded(&out, r)
			if got := out.String(); !strings.Contains(got, test.want) || (test.want == "") != (got == "") {
				t.Errorf("%q, want %q", got, test.want)
			}
			b.printFlood(&out, r) // which is to have a cell for each column
			if text := out.String(); strings.Count(lineOf(t, text, "sipregd, memory"), "|") != strings.Count(lineOf(t, text, "flood"), "|") {
				t.Error(text)
			}
		})
	}
}

// In a crowd, a registration that ends after the span counts where the whole is looked at.
func TestWholeOfWhatBeganCounts(t *testing.T) {
	for _, whole := range []bool{false, true} {
		asleep := false
		s := registrarOfTest(t, func(_, answer []byte) []byte {
			if !asleep {
				asleep = true
				time.Sleep(300 * ms)
			}
			return answer
		})
		f, err := newFleet(s, scattered(100), newHost(), overUDP())
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		r := f.run(t.Context(), phase{rate: 400, crowded: true, whole: whole, measured: span{now, now.Add(150 * ms)}})
		f.close()
		if r.err != nil || r.begun == 0 || (r.completed == r.begun) != whole {
			t.Errorf("whole %v: %d begun, %d completed, %v", whole, r.begun, r.completed, r.err)
		}
	}
}
