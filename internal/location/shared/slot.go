package shared

import "strings"

// slots is how many a Cluster has.
const slots = 1 << 14

// slotOf returns the slot of a key in a Cluster: of its tag, where it has one (Redis
// Cluster specification, "Hash tags").
func slotOf(key string) uint16 {
	var crc uint16
	for _, c := range []byte(tagOf(key)) {
		crc = crc<<8 ^ crcs[byte(crc>>8)^c]
	}
	return crc % slots
}

// tagOf returns the part of a key that its slot depends on: what is in the first braces, or
// all of it.
func tagOf(key string) string {
	if _, rest, begins := strings.Cut(key, "{"); begins {
		if tag, _, ends := strings.Cut(rest, "}"); ends && tag != "" {
			return tag
		}
	}
	return key
}

// crcs is CRC-16/XMODEM of each byte.
var crcs = func() (table [256]uint16) {
	const polynomial = 0x1021
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			if carry := crc >> 15; carry != 0 {
				crc = crc<<1 ^ polynomial
			} else {
				crc <<= 1
			}
		}
		table[i] = crc
	}
	return table
}()
