package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	randv2 "math/rand/v2"
	"time"

	"sipregd/internal/digest"
	"sipregd/internal/location/shared"
)

// The names of the secrets that nodes share in their store.
const (
	nonceSecretName = "nonce"
	gruuSecretName  = "gruu"
)

// secretPatience is how long a start waits for all of them. They may come later, too.
const secretPatience = 2 * time.Second

// newAuthenticator returns one whose nonces other nodes take too, where there are any or
// a secret says that there may be.
func (d *sipregd) newAuthenticator() (*digest.Authenticator, error) {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, fmt.Errorf("no random key for nonces: %w", err)
	}
	start := randv2.Uint64()
	c := &d.config
	lifetime := time.Duration(c.Security.NonceLifetime) * time.Second
	store, isShared := d.store.(*shared.Store)
	switch {
	case c.Security.NonceSecret != "":
		return digest.NewShared(keyOf(c.Security.NonceSecret), start, time.Now(), c.Registrar.Algorithms, lifetime), nil
	case !isShared:
		return digest.New(key, c.Registrar.Algorithms, lifetime), nil
	}
	authenticator := digest.NewShared(key, start, time.Now(), c.Registrar.Algorithms, lifetime)
	d.fetchSecret(store, nonceSecretName, key, func(key [32]byte) { authenticator.Share(key, time.Now()) })
	return authenticator, nil
}

// keyOf makes a key of a text that is hard to guess.
func keyOf(secret string) [32]byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("sipregd nonces"))
	return [32]byte(mac.Sum(nil))
}

// fetchSecret has take called with a secret that nodes share, which is fresh if there was
// none: now, if the store can be reached, else once it can.
func (d *sipregd) fetchSecret(store *shared.Store, name string, fresh [32]byte, take func([32]byte)) {
	fetch := func(ctx context.Context) error {
		key, err := store.Secret(ctx, name, fresh)
		if err == nil {
			take(key)
		}
		return err
	}
	if d.patientUntil.IsZero() {
		d.patientUntil = time.Now().Add(secretPatience)
	}
	soon, cancel := context.WithDeadline(d.living, d.patientUntil)
	defer cancel()
	if fetch(soon) == nil {
		return
	}
	d.fetching.Go(func() {
		told := false
		for {
			err := fetch(d.living)
			if err == nil || d.living.Err() != nil {
				return
			}
			if !told { // it is there, and is none
				d.log.Error().Str("event", "secret_unusable").Err(err).
					Msg("this node has a secret of its own until Redis has one for all: remove what is there (redis-cli DEL k:" + name + "), and nodes make another")
				told = true
			}
			select {
			case <-d.living.Done():
			case <-time.After(time.Second):
			}
		}
	})
}
