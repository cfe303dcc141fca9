package main

import (
	"strings"
	"testing"
	"time"
)

// arrivals passes on each write.
type arrivals chan string

func (a arrivals) Write(data []byte) (int, error) {
	a <- string(data)
	return len(data), nil
}

// A line is written when it comes, not when the next one does.
func TestNoLineWaitsForTheNext(t *testing.T) {
	t.Parallel()
	written := make(arrivals)
	w := newLogWriter(written)
	defer w.close()
	for i := range 200_000 {
		_, _ = w.Write([]byte("a line\n"))
		select {
		case <-written:
		case <-time.After(5 * time.Second):
			t.Fatalf("line %d was not written", i)
		}
	}
}

// Of too many lines for a reader that stands still the oldest are dropped, and it
// is told how many.
func TestTheOldestLinesAreDropped(t *testing.T) {
	t.Parallel()
	written := make(arrivals)
	w := newLogWriter(written)
	_, _ = w.Write([]byte("first\n"))
	old := strings.Repeat("o", 99) + "\n"
	for range 2 * logQueue {
		_, _ = w.Write([]byte(old))
	}
	_, _ = w.Write([]byte("last\n"))
	go w.close()
	var all strings.Builder
	for !strings.Contains(all.String(), "last\n") {
		select {
		case text := <-written:
			all.WriteString(text)
		case <-time.After(5 * time.Second):
			t.Fatal("the last line was not written")
		}
	}
	if text := all.String(); !strings.Contains(text, "lines of the log are dropped") || strings.Count(text, old) > logQueue+2*logBatch/len(old) {
		t.Errorf("%d of %d lines were written", strings.Count(text, "\n"), 2*logQueue)
	}
}
