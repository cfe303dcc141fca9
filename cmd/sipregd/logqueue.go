package main

import (
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

const (
	logQueue = 8192        // lines that wait for a slow reader; of more, the oldest are dropped
	logBatch = 64 << 10    // bytes of lines that are written at once, about
	logFlush = time.Second // to write what waits at the end
)

// logWriter passes lines on to a writer that may be slow, or stand still,
// without holding up who logs. It is a channel and not zerolog's diode, whose
// waiter misses wake-ups: a line then waits for the next one.
type logWriter struct {
	out     io.Writer
	lines   chan []byte
	dropped atomic.Int64
	closing chan struct{}
	done    chan struct{}
}

func newLogWriter(out io.Writer) *logWriter {
	w := &logWriter{
		out: out, lines: make(chan []byte, logQueue),
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	go w.run()
	return w
}

// Write takes a line in.
func (w *logWriter) Write(line []byte) (int, error) {
	for own := slices.Clone(line); ; {
		select {
		case w.lines <- own:
			return len(line), nil
		default:
		}
		select {
		case <-w.lines:
			w.dropped.Add(1)
		default: // there is room again
		}
	}
}

func (w *logWriter) run() {
	defer close(w.done)
	for {
		select {
		case line := <-w.lines:
			w.write(line)
		case <-w.closing:
			w.writeRest()
			return
		}
	}
}

// write writes a line and those that have come meanwhile. Nobody could be told
// that it failed.
func (w *logWriter) write(lines []byte) {
	for len(lines) < logBatch {
		select {
		case line := <-w.lines:
			lines = append(lines, line...)
			continue
		default:
		}
		break
	}
	if dropped := w.dropped.Swap(0); dropped > 0 {
		logger := zerolog.New(w.out).With().Timestamp().Logger()
		logger.Warn().Int64("lines", dropped).Msg("lines of the log are dropped: whatever reads it is too slow")
	}
	_, _ = w.out.Write(lines)
}

func (w *logWriter) writeRest() {
	for len(w.lines) > 0 {
		w.write(<-w.lines)
	}
}

// close writes what waits, unless nobody takes it. What is logged after it is
// lost.
func (w *logWriter) close() {
	close(w.closing)
	select {
	case <-w.done:
	case <-time.After(logFlush):
	}
}
