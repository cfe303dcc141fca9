package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// transcript is what a process writes while it runs.
type transcript struct {
	mu   sync.Mutex
	text []byte
}

func (t *transcript) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, data...)
	return len(data), nil
}

// Bytes returns what there is so far. It is not to be written to.
func (t *transcript) Bytes() []byte { return t.after(0) }

func (t *transcript) String() string { return string(t.Bytes()) }

func (t *transcript) len() int { return len(t.Bytes()) }

// after returns what has come behind a place.
func (t *transcript) after(place int) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text[place:len(t.text):len(t.text)]
}

var errNotSaid = errors.New("not found in what the server writes")

// await waits until a text has come behind a place, and fails with the line of
// another text.
func (t *transcript) await(ctx context.Context, place int, text, failure string, atMost time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	for {
		said := t.after(place)
		if at := bytes.Index(said, []byte(failure)); at >= 0 {
			return fmt.Errorf("%s", lineAt(said, at))
		}
		if bytes.Contains(said, []byte(text)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%q: %w", text, errNotSaid)
		case <-time.After(time.Millisecond):
		}
	}
}

// lineAt returns the line around a place, as far as it is there.
func lineAt(text []byte, place int) []byte {
	line := text[bytes.LastIndexByte(text[:place], '\n')+1:]
	line, _, _ = bytes.Cut(line, []byte("\n"))
	return line
}
