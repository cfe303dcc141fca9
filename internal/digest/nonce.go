package digest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
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
	nonceMAC    = 12 // bytes kept of the HMAC
	nonceBytes  = nonceFields + nonceMAC
)

// mint makes and checks nonces: base64url of time, number and an HMAC over
// both under a key of this process.
type mint struct {
	macs sync.Pool // of *keyed
	last atomic.Uint64
}

// keyed is an HMAC under the key and room for what goes in and out: what a
// hash.Hash is passed would be put on the heap each time.
type keyed struct {
	hash.Hash
	fields [nonceFields]byte
	sum    [sha256.Size]byte
}

func (m *mint) setKey(key [32]byte) {
	m.macs.New = func() any { return &keyed{Hash: hmac.New(sha256.New, key[:])} }
}

// appendNonce appends a new nonce; now is a time of clock.seconds.
func (m *mint) appendNonce(room []byte, now uint32) []byte {
	var raw [nonceBytes]byte
	binary.BigEndian.PutUint32(raw[:], now)
	binary.BigEndian.PutUint64(raw[4:], m.last.Add(1))
	mac := m.mac([nonceFields]byte(raw[:]))
	copy(raw[nonceFields:], mac[:])
	return base64.RawURLEncoding.AppendEncode(room, raw[:])
}

// read returns what a nonce says, and whether it was issued under this key.
func (m *mint) read(text string) (n nonce, ours bool) {
	var raw [nonceBytes]byte
	if len(text) != base64.RawURLEncoding.EncodedLen(nonceBytes) {
		return nonce{}, false
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(text)); err != nil {
		return nonce{}, false
	}
	if mac := m.mac([nonceFields]byte(raw[:])); !hmac.Equal(raw[nonceFields:], mac[:]) {
		return nonce{}, false
	}
	return nonce{
		issued: binary.BigEndian.Uint32(raw[:]),
		number: binary.BigEndian.Uint64(raw[4:]),
	}, true
}

func (m *mint) mac(fields [nonceFields]byte) (mac [nonceMAC]byte) {
	h := m.macs.Get().(*keyed)
	defer m.macs.Put(h)
	h.Reset()
	h.fields = fields
	h.Write(h.fields[:])
	copy(mac[:], h.Sum(h.sum[:0]))
	return mac
}
