package main

import (
	"fmt"

	"github.com/coreos/go-systemd/v22/activation"

	"sipregd/internal/config"
	"sipregd/internal/transport"
)

// inherit returns the sockets that systemd has passed on to this process, if any
// (sd_listen_fds(3)). They can be asked for once.
func inherit() (*transport.Inherited, error) {
	inherited, err := transport.Inherit(activation.Files(true))
	if err != nil {
		return nil, fmt.Errorf("a socket that was passed on does not serve: %w", err)
	}
	return inherited, nil
}

// socketWarnings says where those do not match [listen].
func socketWarnings(c *config.Config) ([]string, error) {
	inherited, err := inherit()
	if err != nil {
		return nil, err
	}
	defer inherited.Close()
	return inherited.Differences(addresses(c)), nil
}

// addresses returns where [listen] says to listen.
func addresses(c *config.Config) transport.Addresses {
	l := &c.Listen
	return transport.Addresses{UDP: l.UDP, TCP: l.TCP, TLS: l.TLS, MutualTLS: l.MutualTLS, WS: l.WS, WSS: l.WSS, Shared: l.SharePorts}
}
