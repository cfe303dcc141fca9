package main

import (
	"errors"
	"regexp"
	"strings"
)

// option is a flag as package flag prints it: its name, its argument, and what it does
// on the next line.
var option = regexp.MustCompile(`(?m)^  -(\w+)(?: (\S+))?\n\s+\t(.*)$`)

// daemonPage returns sipregd(8), with the options that sipregd --help prints.
func daemonPage(help string) (string, error) {
	p := newPage("sipregd", "8", "a SIP registrar")
	p.heading("SYNOPSIS")
	p.line(`\fBsipregd\fR [\fIoption\fR]`)
	p.heading("DESCRIPTION")
	p.paragraph("Phones register here (RFC 3261, section 10.3). What a phone proves, what it registers and what you call it are three fields of " +
		"peers.conf(5). It runs until SIGTERM or SIGINT, as a service by `systemctl enable --now sipregd`. " +
		"sipregctl(1) shows who is registered, and why a phone is not.")
	p.heading("OPTIONS")
	options := option.FindAllStringSubmatch(help, -1)
	if len(options) == 0 {
		return "", errors.New("sipregd --help prints no options")
	}
	for _, o := range options {
		p.term(strings.TrimSpace("--"+o[1]+" "+o[2]), false)
		p.line(escape(o[3]))
	}
	p.heading("SIGNALS")
	p.term("SIGHUP", false)
	p.line("Reads the peers and the certificates anew. Where one of them has a mistake, nothing changes.")
	p.heading("EXIT STATUS")
	p.line("0; 1 where the configuration or an address does not serve; 2 for a wrong command line.")
	p.heading("FILES")
	for _, file := range [][2]string{
		{"/etc/sipregd/sipregd.conf", "how it runs: sipregd.conf(5)"},
		{"/etc/sipregd/peers.conf", "who may register: peers.conf(5)"},
		{"/var/lib/sipregd", "the bindings"},
		{"/run/sipregd/sipregd.sock", "the control socket, for sipregctl(1)"},
	} {
		p.term(file[0], false)
		p.line(escape(file[1]))
	}
	p.seeAlso("sipregctl(1)", "sipregd.conf(5)", "peers.conf(5)")
	return p.String(), nil
}
