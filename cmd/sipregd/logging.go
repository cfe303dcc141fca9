package main

import (
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/diode"

	"sipregd/internal/config"
)

const (
	logQueue = 8192        // lines that wait for a slow reader; of more, the oldest are dropped
	logFlush = time.Second // to write what waits at the end
)

// logWriter passes lines on to a writer that may be slow, or stand still,
// without holding up who logs.
type logWriter struct {
	out   io.Writer
	diode diode.Writer
}

func newLogWriter(out io.Writer) *logWriter {
	w := &logWriter{out: out}
	w.diode = diode.NewWriter(out, logQueue, 0, w.dropped)
	return w
}

func (w *logWriter) Write(line []byte) (int, error) { return w.diode.Write(line) }

// dropped is called from where lines are written to out.
func (w *logWriter) dropped(lines int) {
	logger := zerolog.New(w.out).With().Timestamp().Logger()
	logger.Warn().Int("lines", lines).Msg("lines of the log are dropped: whatever reads it is too slow")
}

// close writes what waits, unless nobody takes it.
func (w *logWriter) close() {
	done := make(chan struct{})
	go func() {
		_ = w.diode.Close() // nobody could be told
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(logFlush):
	}
}

// newLogger returns a logger as [log] wants it: JSON, or lines for people,
// which are coloured on a terminal only.
func newLogger(c config.Log, terminal bool, out io.Writer) zerolog.Logger {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	if c.Format == "text" || c.Format == "auto" && terminal {
		out = zerolog.ConsoleWriter{
			Out:         out,
			NoColor:     !terminal,
			TimeFormat:  time.DateTime,
			FieldsOrder: []string{"event", "src_ip", "src_port", "transport", "reason", "status"},
		}
	}
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil { // the configuration was checked
		level = zerolog.InfoLevel
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}
