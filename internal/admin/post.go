package admin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	connectTimeout = 5 * time.Second
	answerBytes    = 64 << 10 // that are read of an answer
	maxCause       = 256      // bytes of why a post failed
)

// newPostClient returns a client that stays with the server it is given: a redirect
// might lead events anywhere.
func newPostClient() *http.Client {
	return &http.Client{
		Timeout:       postTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  proxyOf,
			DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSHandshakeTimeout:    connectTimeout,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: answerBytes,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		},
	}
}

// proxyOf returns the proxy that HTTPS_PROXY and its like name. They are in the
// daemon's environment only where the administrator has put them, since there is no
// other way out of his network. The error does not repeat them: they may hold a
// password.
func proxyOf(request *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(request)
	if err != nil {
		return nil, errors.New("HTTP_PROXY or HTTPS_PROXY in the environment is no URL")
	}
	return proxy, nil
}

// send posts a body once. Its error holds neither the secret nor the URL.
func (w *Webhook) send(body []byte) error {
	request, err := http.NewRequestWithContext(w.posting, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return causeOf(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "sipregd")
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	request.Header.Set(timestampHeader, timestamp)
	if len(w.secret) > 0 {
		request.Header.Set(signatureHeader, signature(w.secret, timestamp, body))
	}
	answer, err := w.client.Do(request)
	if err != nil {
		return causeOf(err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, answerBytes) // so that the connection can be used again
	return judge(answer.StatusCode)
}

// judge returns an error unless an answer says that the post was taken.
func judge(status int) error {
	said := fmt.Sprintf("the server answers %d %s", status, http.StatusText(status))
	switch {
	case status/100 == 2:
		return nil
	case status/100 == 3:
		return errors.New(said + ": redirects are not followed, so write into [admin] webhook where this one leads to")
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return errors.New(said + ": let it take what is signed with [admin] webhook_secret")
	case status/100 == 4:
		return errors.New(said + ": look whether [admin] webhook is right, and why the server takes no events there")
	}
	return errors.New(said)
}

// causeOf returns what went wrong without the URL, which may hold a password, and
// without what a terminal may act upon: the server may have a part in the text.
func causeOf(err error) error {
	var failure *url.Error
	if errors.As(err, &failure) {
		err = failure.Err
		if failure.Timeout() {
			return errors.New("the server does not answer in time")
		}
	}
	cause := err.Error()
	return errors.New(strings.Map(printable, cause[:min(len(cause), maxCause)]))
}

func printable(character rune) rune {
	if !unicode.IsPrint(character) {
		return '\ufffd'
	}
	return character
}
