package main

import (
	"os"
	"testing"
)

func TestKilobytes(t *testing.T) {
	const status = "Name:\tx\nVmHWM:\t  300 kB\nVmRSS:\t     200 kB\nThreads:\t9\n"
	for _, test := range []struct {
		name, want string // want is part of the error, empty for none
		bytes      int64
	}{
		{"VmRSS", "", 200 * 1024},
		{"VmHWM", "", 300 * 1024},
		{"RSS", "invalid syntax", 0},
		{"Name", "invalid syntax", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := kilobytes(status, test.name)
			expect(t, err, test.want)
			if got != test.bytes {
				t.Errorf("%d, want %d", got, test.bytes)
			}
		})
	}
}

func TestMemoryOfAProcess(t *testing.T) {
	m, err := memoryOf(os.Getpid())
	if err != nil || m.resident <= 0 || m.peak < m.resident {
		t.Errorf("%+v, %v", m, err)
	}
}
