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
	macs sync.Pool // of hash.Hash under the key
	last atomic.Uint64
}

func (m *mint) setKey(key [32]byte) {
	m.macs.New = func() any { return hmac.New(sha256.New, key[:]) }
}

// issue returns a new nonce; now is a time of clock.seconds.
func (m *mint) issue(now uint32) string {
	var raw [nonceBytes]byte
	binary.BigEndian.PutUint32(raw[:], now)
	binary.BigEndian.PutUint64(raw[4:], m.last.Add(1))
	mac := m.mac(raw[:nonceFields])
	copy(raw[nonceFields:], mac[:])
	return base64.RawURLEncoding.EncodeToString(raw[:])
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
	if mac := m.mac(raw[:nonceFields]); !hmac.Equal(raw[nonceFields:], mac[:]) {
		return nonce{}, false
	}
	return nonce{
		issued: binary.BigEndian.Uint32(raw[:]),
		number: binary.BigEndian.Uint64(raw[4:]),
	}, true
}

func (m *mint) mac(fields []byte) (mac [nonceMAC]byte) {
	h := m.macs.Get().(hash.Hash)
	defer m.macs.Put(h)
	h.Reset()
	h.Write(fields)
	var sum [sha256.Size]byte
	copy(mac[:], h.Sum(sum[:0]))
	return mac
}
