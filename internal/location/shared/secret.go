package shared

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/redis/rueidis"
)

// Secret returns a secret that all nodes share: that under this name, which is fresh
// where there was none. It waits for Redis until ctx ends. Should Redis lose it, a node
// that knows it puts it back.
func (s *Store) Secret(ctx context.Context, name string, fresh [32]byte) ([32]byte, error) {
	for {
		if began := time.Now(); !s.Stale() {
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
		return secret, err
	}
	text, err := client.Do(ctx, client.B().Get().Key(key).Build()).ToString()
	if err != nil {
		return secret, err
	}
	bytes, err := hex.DecodeString(text)
	if err != nil || len(bytes) != len(secret) {
		return secret, fmt.Errorf("%w: %s holds no secret", errReply, key)
	}
	return [32]byte(bytes), nil
}

// putSecrets puts back what Redis may have lost, before changes go on.
func (s *Store) putSecrets() {
	s.mu.Lock()
	known := make(map[string][32]byte, len(s.secrets))
	for name, secret := range s.secrets {
		known[name] = secret
	}
	s.mu.Unlock()
	for name, secret := range known {
		there, err := s.share(context.Background(), name, secret)
		if err == nil && there != secret {
			s.observer.Trouble(fmt.Errorf("%s was changed: restart this node to use what is there now", secretKey(name)))
		}
	}
}
