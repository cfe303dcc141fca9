package main

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestAwaitFindsWhatComesLater(t *testing.T) {
	const before = "a\nreloaded\n"
	for _, test := range []struct {
		name  string
		later []string
		want  string // in the error; empty: none
	}{
		{"at once", []string{"x\nreloaded\n"}, ""},
		{"in pieces", []string{"x\nrel", "oaded"}, ""},
		{"a failure", []string{"x\nreload_failed: why\ny\n"}, "reload_failed: why"},
		{"only before", []string{"x\n"}, errNotSaid.Error()},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out transcript
			_, _ = out.Write([]byte(before))
			place := out.len()
			done := make(chan error, 1)
			go func() {
				done <- out.await(context.Background(), place, "reloaded", "reload_failed", 200*time.Millisecond)
			}()
			for _, piece := range test.later {
				_, _ = out.Write([]byte(piece))
			}
			expect(t, <-done, test.want)
		})
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out transcript
	if err := out.await(ctx, 0, "reloaded", "reload_failed", time.Hour); !errors.Is(err, errNotSaid) {
		t.Error(err)
	}
}
