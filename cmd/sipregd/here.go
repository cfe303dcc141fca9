package main

import (
	"net"
	"net/netip"
	"strings"

	"sipregd/internal/registrar"
)

// here returns where the daemon listens, and the machine's addresses as they are now.
func (d *sipregd) here() registrar.Here {
	var here registrar.Here
	for _, text := range d.server.Addresses() {
		transport, address, _ := strings.Cut(text, " ")
		if parsed, err := netip.ParseAddrPort(address); err == nil {
			here.Sockets = append(here.Sockets, registrar.Socket{Transport: transport, Address: parsed})
		}
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		d.log.Warn().Err(err).Msg("the addresses of this machine are not known: a Contact may name one")
	}
	for _, address := range addresses {
		if network, err := netip.ParsePrefix(address.String()); err == nil {
			here.Networks = append(here.Networks, network)
		}
	}
	return here
}
