package digest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// nonce is what a nonce of ours says: it carries its own time and number, so
// that none has to be remembered when it is given out.
type nonce struct {
	issued uint32 // by clock.seconds
	number uint64 // unlike that of any other nonce of this process
}

const (
	nonceFields = 4 + 8
	nonceMAC    = 12 // bytes kept of the MAC
	nonceBytes  = nonceFields + nonceMAC
)

// nonceText is how a nonce is written: each in one way only.
var nonceText = base64.RawURLEncoding.Strict()

// mint makes and checks nonces: base64url of time, number and a MAC over both under
// a key of this process. Both fit into one block of AES, which then is a MAC by
// itself and far quicker than a hash.
type mint struct {
	cipher cipher.Block
	blocks sync.Pool // of *block: what a cipher.Block is passed would be put on the heap each time
	last   atomic.Uint64
}

type block [aes.BlockSize]byte

func (m *mint) setKey(key [32]byte) {
	m.cipher, _ = aes.NewCipher(key[:]) // a key of that length is always good
	m.blocks.New = func() any { return new(block) }
}

// appendNonce appends a new nonce; now is a time of clock.seconds.
func (m *mint) appendNonce(room []byte, now uint32) []byte {
	var raw [nonceBytes]byte
	binary.BigEndian.PutUint32(raw[:], now)
	binary.BigEndian.PutUint64(raw[4:], m.last.Add(1))
	mac := m.mac([nonceFields]byte(raw[:]))
	copy(raw[nonceFields:], mac[:])
	return nonceText.AppendEncode(room, raw[:])
}

// read returns what a nonce says, and whether it was issued under this key.
func (m *mint) read(text string) (n nonce, ours bool) {
	var raw [nonceBytes]byte
	if len(text) != nonceText.EncodedLen(nonceBytes) {
		return nonce{}, false
	}
	if _, err := nonceText.Decode(raw[:], []byte(text)); err != nil {
		return nonce{}, false
	}
	if mac := m.mac([nonceFields]byte(raw[:])); subtle.ConstantTimeCompare(raw[nonceFields:], mac[:]) == 0 {
		return nonce{}, false
	}
	return nonce{
		issued: binary.BigEndian.Uint32(raw[:]),
		number: binary.BigEndian.Uint64(raw[4:]),
	}, true
}

func (m *mint) mac(fields [nonceFields]byte) (mac [nonceMAC]byte) {
	b := m.blocks.Get().(*block)
	defer m.blocks.Put(b)
	*b = block{}
	copy(b[:], fields[:])
	m.cipher.Encrypt(b[:], b[:])
	return [nonceMAC]byte(b[:])
}
