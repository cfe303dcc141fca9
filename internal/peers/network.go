package peers

import (
	"errors"
	"math/bits"
	"net/netip"
	"strings"
)

var errNetwork = errors.New("no network")

// parseNetwork reads a CIDR network, an address and a netmask as Asterisk
// writes them, or a single address. Bits of the host are kept.
func parseNetwork(text string) (netip.Prefix, error) {
	first, size, found := strings.Cut(text, "/")
	address, err := netip.ParseAddr(first)
	if err != nil || address.Zone() != "" {
		return netip.Prefix{}, errNetwork
	}
	if !found {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	if mask, err := netip.ParseAddr(size); err == nil {
		return maskedNetwork(address, mask)
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, errNetwork
	}
	return unmapNetwork(network)
}

// maskedNetwork takes a mask of IPv4 whose ones all stand in front.
func maskedNetwork(address, mask netip.Addr) (netip.Prefix, error) {
	if !address.Is4() || !mask.Is4() {
		return netip.Prefix{}, errNetwork
	}
	b := mask.As4()
	ones := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	length := bits.LeadingZeros32(^ones)
	if ones<<length != 0 {
		return netip.Prefix{}, errNetwork
	}
	return netip.PrefixFrom(address, length), nil
}

// unmapNetwork brings IPv4 written as IPv6 to the form that sources are
// compared in.
func unmapNetwork(network netip.Prefix) (netip.Prefix, error) {
	const mapped = 96 // bits in front of the IPv4 address
	if !network.Addr().Is4In6() {
		return network, nil
	}
	if network.Bits() < mapped {
		return netip.Prefix{}, errNetwork
	}
	return netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-mapped), nil
}
