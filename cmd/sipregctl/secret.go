package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// mostSecret bounds the line that a secret is read from, in bytes.
const mostSecret = 4096

// readSecret asks for a secret on a terminal, without echo; from anything else
// it reads one line.
func readSecret(ctx context.Context, in io.Reader, errs io.Writer, whose string) (string, error) {
	if file, ok := in.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		fmt.Fprintf(errs, "Secret of %s: ", visible(whose))
		defer fmt.Fprintln(errs)
		return askTerminal(ctx, int(file.Fd()))
	}
	line, err := bufio.NewReader(io.LimitReader(in, mostSecret)).ReadString('\n')
	if err == io.EOF && line != "" {
		err = nil // the last line may have no end
	}
	if err != nil {
		return "", fmt.Errorf("no secret on standard input: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// askTerminal reads a line without echo. Where it is interrupted, it gives the
// terminal its echo back and leaves the reading, which cannot be ended, to the end
// of the process.
func askTerminal(ctx context.Context, terminal int) (string, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	type answer struct {
		secret []byte
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		secret, err := term.ReadPassword(terminal)
		answers <- answer{secret, err}
	}()
	select {
	case a := <-answers:
		return string(a.secret), a.err
	case <-ctx.Done():
		return "", errors.Join(errors.New("interrupted"), term.Restore(terminal, before))
	}
}
