package shared

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/redis/rueidis"
)

// Secret returns a secret that all nodes share: that under this name, which is fresh
// where there was none. It waits for Redis until ctx ends. Should Redis lose it, a node
// that knows it puts it back.
func (s *Store) Secret(ctx context.Context, name string, fresh [32]byte) ([32]byte, error) {
	for {
		if began := time.Now(); !s.shardOf(secretKey(name)).away.Load() {
			secret, err := s.share(ctx, name, fresh)
			if err == nil {
				s.mu.Lock()
				s.secrets[name] = secret
				s.mu.Unlock()
				return secret, nil
			}
			if isOfKey(err) {
				return secret, err
			}
			s.fail(secretKey(name), began, err)
		}
		select {
		case <-ctx.Done():
			return [32]byte{}, fmt.Errorf("the secret that nodes share: %w", context.Cause(ctx))
		case <-time.After(awayInterval):
		}
	}
}

func secretKey(name string) string { return "k:" + name }

// share puts a secret where there is none, and returns the one that is there.
func (s *Store) share(ctx context.Context, name string, fresh [32]byte) (secret [32]byte, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errSlow)
	defer cancel()
	client := *s.client.Load()
	key := secretKey(name)
	put := client.Do(ctx, client.B().Set().Key(key).Value(hex.EncodeToString(fresh[:])).Nx().Build())
	if err := put.Error(); err != nil && !rueidis.IsRedisNil(err) {
		return secret, causeOf(ctx, err)
	}
	text, err := client.Do(ctx, client.B().Get().Key(key).Build()).ToString()
	if err != nil {
		return secret, causeOf(ctx, err)
	}
	bytes, err := hex.DecodeString(text)
	if err != nil || len(bytes) != len(secret) {
		return secret, fmt.Errorf("%w: %s holds no secret", errReply, key)
	}
	return [32]byte(bytes), nil
}

// ErrSecretChanged says that nodes share another secret than this one has.
var ErrSecretChanged = errors.New("it is not the one that this node has")

// putSecrets puts back what a shard may have lost, before changes go on. Secrets that were
// changed, or are none, keep nothing from going on: this node has its own.
func (s *Store) putSecrets(sh *shard) error {
	for name, secret := range s.knownSecrets() {
		if s.shardOf(secretKey(name)) == sh {
			if err := s.putSecret(name, secret); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookAtSecrets puts back what was lost while Redis was there, and tells of what was changed.
func (s *Store) lookAtSecrets() {
	for name, secret := range s.knownSecrets() {
		key, began := secretKey(name), time.Now()
		if s.shardOf(key).suspect.Load() { // it is looked at once that is over
			continue
		}
		if err := s.putSecret(name, secret); err != nil {
			s.fail(key, began, err)
		}
	}
}

func (s *Store) knownSecrets() map[string][32]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.secrets)
}

// putSecret puts a secret where there is none. There is an error only where that cannot be
// done just now.
func (s *Store) putSecret(name string, secret [32]byte) error {
	there, err := s.share(context.Background(), name, secret)
	switch {
	case err != nil && !isOfKey(err):
		return err
	case err == nil && there != secret:
		err = ErrSecretChanged
	}
	s.tellOfSecret(name, err)
	return nil
}

// tellOfSecret tells what is wrong with a secret, once as long as that stays as it is.
func (s *Store) tellOfSecret(name string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	s.mu.Lock()
	isNew := s.told[name] != text
	s.told[name] = text
	s.mu.Unlock()
	if isNew && err != nil {
		s.observer.SecretTrouble(secretKey(name), err)
	}
}
