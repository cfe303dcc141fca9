package digest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync/atomic"
	"time"
)

// nonce is what a nonce of ours says: it carries its own time and number, so
// that none has to be remembered when it is given out.
type nonce struct {
	issued uint32 // seconds since 1970
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
	key  [32]byte
	last atomic.Uint64
}

// issue returns a new nonce.
func (m *mint) issue(now time.Time) string {
	var raw [nonceBytes]byte
	binary.BigEndian.PutUint32(raw[:], uint32(now.Unix()))
	binary.BigEndian.PutUint64(raw[4:], m.last.Add(1))
	copy(raw[nonceFields:], m.mac(raw[:nonceFields]))
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
	if !hmac.Equal(raw[nonceFields:], m.mac(raw[:nonceFields])) {
		return nonce{}, false
	}
	return nonce{
		issued: binary.BigEndian.Uint32(raw[:]),
		number: binary.BigEndian.Uint64(raw[4:]),
	}, true
}

func (m *mint) mac(fields []byte) []byte {
	mac := hmac.New(sha256.New, m.key[:])
	mac.Write(fields)
	return mac.Sum(nil)[:nonceMAC]
}
