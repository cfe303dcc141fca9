package digest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// nonce is what a nonce of ours says: it carries its own time and number, so
// that none has to be remembered when it is given out.
type nonce struct {
	issued uint32 // by clock.seconds
	number uint64 // unlike that of any other nonce under this key
}

// ClockDifference is how far apart the clocks of those may be that share a key. For so
// long after its lifetime a nonce may still be taken somewhere.
const ClockDifference = maxAhead*time.Second + time.Second // which has begun

// maxAhead is by how many seconds the clock of another may be ahead that shares the key.
const maxAhead = 60

// age returns how old a nonce is, in seconds. One that is from the future by too much is
// as old as can be.
func (n *nonce) age(now uint32) uint32 {
	if ahead := n.issued - now; ahead <= maxAhead {
		return 0
	}
	return now - n.issued
}

const (
	nonceSource = 2 // bytes that say whom it was given to
	nonceFields = 4 + 8 + nonceSource
	nonceMAC    = 10 // bytes kept of the MAC
	nonceBytes  = nonceFields + nonceMAC
)

// nonceText is how a nonce is written: each in one way only.
var nonceText = base64.RawURLEncoding.Strict()

// mint makes and checks nonces: base64url of time, number, a mark of the source and a
// MAC over all under one key. They fit into one block of AES, which then is
// a MAC by itself and far quicker than a hash. The mark is one over number and source,
// under another key: a nonce is good from everywhere, as some phones come by several
// ways, and tells whether it was given out there.
type mint struct {
	keys   atomic.Pointer[mintKeys]
	blocks sync.Pool // of *block: what a cipher.Block is passed would be put on the heap each time
	first  uint64    // number, which no nonce has
	last   atomic.Uint64
}

type mintKeys struct{ cipher, source cipher.Block }

type block [aes.BlockSize]byte

func (m *mint) setKey(key [32]byte) {
	other := sha256.Sum256(append(key[:], "source"...))
	var keys mintKeys
	keys.cipher, _ = aes.NewCipher(key[:]) // a key of that length is always good
	keys.source, _ = aes.NewCipher(other[:])
	m.keys.Store(&keys)
}

// appendNonce appends a new nonce for a source; now is a time of clock.seconds.
func (m *mint) appendNonce(room []byte, now uint32, source netip.Addr) []byte {
	var raw [nonceBytes]byte
	binary.BigEndian.PutUint32(raw[:], now)
	binary.BigEndian.PutUint64(raw[4:], m.last.Add(1))
	mark := m.markOf(raw[4:12], source)
	copy(raw[12:], mark[:])
	mac := m.mac([nonceFields]byte(raw[:]))
	copy(raw[nonceFields:], mac[:])
	return nonceText.AppendEncode(room, raw[:])
}

// read returns what a nonce says, and whether it was issued under this key.
func (m *mint) read(text string) (n nonce, ours bool) {
	raw, ours := m.open(text)
	if !ours {
		return nonce{}, false
	}
	return nonce{
		issued: binary.BigEndian.Uint32(raw[:]),
		number: binary.BigEndian.Uint64(raw[4:]),
	}, true
}

// hasMade tells whether a nonce is one of this process, as its number tells.
func (m *mint) hasMade(n nonce) bool { return n.number-m.first-1 < m.last.Load()-m.first }

// givenTo tells whether a nonce was issued under this key for a source. One of 65,536
// is said to be though it was not.
func (m *mint) givenTo(text string, source netip.Addr) bool {
	raw, ours := m.open(text)
	return ours && [nonceSource]byte(raw[12:]) == m.markOf(raw[4:12], source)
}

// open returns what a nonce is made of, and whether it was issued under this key.
func (m *mint) open(text string) (raw [nonceBytes]byte, ours bool) {
	if len(text) != nonceText.EncodedLen(nonceBytes) {
		return raw, false
	}
	if _, err := nonceText.Decode(raw[:], []byte(text)); err != nil {
		return raw, false
	}
	mac := m.mac([nonceFields]byte(raw[:]))
	return raw, subtle.ConstantTimeCompare(raw[nonceFields:], mac[:]) == 1
}

// markOf returns a MAC over the number of a nonce and a source: an IPv4 address, or
// the first half of an IPv6 address.
func (m *mint) markOf(number []byte, source netip.Addr) [nonceSource]byte {
	b := m.blocks.Get().(*block)
	defer m.blocks.Put(b)
	*b = block{}
	copy(b[:], number)
	address := source.As16()
	if source.Unmap().Is4() {
		copy(b[8:], address[8:])
	} else {
		copy(b[8:], address[:8])
	}
	m.keys.Load().source.Encrypt(b[:], b[:])
	return [nonceSource]byte(b[:])
}

func (m *mint) mac(fields [nonceFields]byte) (mac [nonceMAC]byte) {
	b := m.blocks.Get().(*block)
	defer m.blocks.Put(b)
	*b = block{}
	copy(b[:], fields[:])
	m.keys.Load().cipher.Encrypt(b[:], b[:])
	return [nonceMAC]byte(b[:])
}
