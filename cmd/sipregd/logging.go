package main

import (
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"sipregd/internal/config"
)

// newLogger returns a logger as [log] wants it: JSON, or lines for people,
// which are coloured on a terminal only.
func newLogger(c config.Log, terminal bool, out io.Writer) zerolog.Logger {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	if c.Format == "text" || c.Format == "auto" && terminal {
		out = zerolog.ConsoleWriter{
			Out:         out,
			NoColor:     !terminal,
			TimeFormat:  time.DateTime,
			FieldsOrder: []string{"event", "src_ip", "src_port", "transport", "forgeable", "reason", "status"},
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
