package admin

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// Header fields of a post.
const (
	timestampHeader = "Sipregd-Timestamp" // seconds since 1970
	signatureHeader = "Sipregd-Signature"
)

// signature returns the HMAC-SHA256 over timestamp.body. The timestamp is in it, so
// that who takes the post can tell an old one that somebody has kept.
func signature(secret []byte, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
