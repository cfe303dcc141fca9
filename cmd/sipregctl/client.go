package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sipregd/internal/admin/api"
	"sipregd/internal/config"
)

const (
	// longestAnswer is how long a command waits for the daemon. What takes it
	// longest is to read a million peers anew.
	longestAnswer = time.Minute

	mostAnswer = 256 << 20 // bytes that are taken of an answer
)

// client asks the daemon over its control socket. Its fields are the flags of
// each command that asks.
type client struct {
	socket string // empty: the one that sipregd.conf names
	config string
	json   bool // print what the daemon answers, as it is
}

// newClient returns a client and gives the command its flags.
func newClient(command *cobra.Command) *client {
	c := &client{}
	c.addFlags(command, command.Flags())
	return c
}

// addFlags adds those that each client has.
func (c *client) addFlags(command *cobra.Command, flags *pflag.FlagSet) {
	flags.StringVar(&c.socket, "socket", "", "the `PATH` of the daemon's control socket (default: the one that FILE names)")
	flags.StringVar(&c.config, "config", config.DefaultPath, "the daemon's `FILE`, which names its control socket")
	_ = command.RegisterFlagCompletionFunc("socket", cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault))
	_ = command.RegisterFlagCompletionFunc("config", cobra.FixedCompletions([]cobra.Completion{"conf"}, cobra.ShellCompDirectiveFilterFileExt))
}

// newJSONClient is newClient with the flag --json.
func newJSONClient(command *cobra.Command) *client {
	c := newClient(command)
	c.addJSON(command.Flags())
	return c
}

func (c *client) addJSON(flags *pflag.FlagSet) {
	flags.BoolVar(&c.json, "json", false, "print the answer of the daemon as JSON")
}

// putFlagsFirst lets the flags of a client stand before the name of a command,
// too. It is that command that reads them.
func putFlagsFirst(root *cobra.Command) {
	c, flags := &client{}, root.PersistentFlags()
	c.addFlags(root, flags)
	c.addJSON(flags)
}

// putNoFlagsFirst undoes that for a command that asks no daemon.
func putNoFlagsFirst(command *cobra.Command) {
	for _, name := range []string{"socket", "config"} {
		command.Flags().Func(name, "", func(string) error { return errors.New(command.Name() + " asks no daemon") })
		_ = command.Flags().MarkHidden(name)
	}
}

// findSocket completes what the command line leaves open.
func (c *client) findSocket() error {
	if c.socket != "" {
		return nil
	}
	settings, err := config.Load(c.config)
	switch {
	case errors.Is(err, os.ErrNotExist) && c.config == config.DefaultPath:
		settings = config.Default()
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("no permission to read %s, which names the control socket: %s", c.config, admission(c.config, mayRead))
	case err != nil:
		return fmt.Errorf("%w\nSay where the control socket is: --socket PATH", err)
	}
	if c.socket = settings.Admin.Socket; c.socket == "" {
		return fmt.Errorf("[admin] socket of %s is empty: the daemon has no control socket", c.config)
	}
	return nil
}

// get asks for path, which begins with a slash, and reads the answer into the
// value, unless it is nil. It returns the answer as it came.
func (c *client) get(ctx context.Context, path string, query url.Values, value any) ([]byte, error) {
	return c.ask(ctx, http.MethodGet, path, query, nil, value)
}

// ask is get with any method, and a body where there is one. The error is a
// *refusedError where the daemon answers that it does not do what it was asked.
func (c *client) ask(ctx context.Context, method, path string, query url.Values, body, value any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, longestAnswer)
	defer cancel()
	request, err := newRequest(ctx, method, path, query, body)
	if err != nil {
		return nil, err
	}
	response, err := c.do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer of the daemon breaks off: %w", err)
	case response.StatusCode >= 300:
		return nil, &refusedError{response.StatusCode, text}
	case value == nil:
		return text, nil
	}
	if err := json.Unmarshal(text, value); err != nil {
		return nil, fmt.Errorf("the answer of the daemon is not what this sipregctl knows, are both of one version? %w", err)
	}
	return text, nil
}

func newRequest(ctx context.Context, method, path string, query url.Values, body any) (*http.Request, error) {
	var text io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		text = bytes.NewReader(encoded)
	}
	address := "http://sipregd/api/v1" + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, text)
	if err == nil && body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, err
}

// do sends the request and returns the head of the answer.
func (c *client) do(request *http.Request) (*http.Response, error) {
	if err := c.findSocket(); err != nil {
		return nil, err
	}
	sender := http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var dialer net.Dialer
				return dialer.DialContext(ctx, "unix", c.socket)
			},
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := sender.Do(request)
	if err != nil {
		return nil, c.unreached(err)
	}
	return response, nil
}

// refusedError is an answer that says no.
type refusedError struct {
	status int
	text   []byte
}

// Error returns what the daemon says of it.
func (e *refusedError) Error() string {
	var said api.Error
	if json.Unmarshal(e.text, &said) == nil && said.Error != "" {
		return said.Error
	}
	return fmt.Sprintf("the daemon answers %d %s and says no more: is it a sipregd of this version that listens there?",
		e.status, http.StatusText(e.status))
}

// hasStatus tells whether the daemon answered with the status.
func hasStatus(err error, status int) bool {
	var refused *refusedError
	return errors.As(err, &refused) && refused.status == status
}
