package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// gruuKeyName is the file, beside the bindings, of the key that temporary GRUUs are
// sealed with. They are good as long as it is there.
const gruuKeyName = "gruu.key"

// gruuKey returns the key that was stored, or makes one and stores it. Where that
// cannot be, the one of this life has to do.
func (d *sipregd) gruuKey() (key [32]byte, err error) {
	path := filepath.Join(d.config.Location.Path, gruuKeyName)
	stored := d.config.Location.Store == "file"
	if stored {
		switch text, err := os.ReadFile(path); {
		case err == nil && len(text) == len(key):
			return [32]byte(text), nil
		case err == nil:
			d.log.Warn().Str("path", path).Msg("this is no key for GRUUs: another one takes its place")
		case !errors.Is(err, fs.ErrNotExist):
			d.log.Warn().Err(err).Msg("the key for GRUUs cannot be read: temporary ones of before are good no more")
			stored = false
		}
	}
	if _, err = rand.Read(key[:]); err != nil {
		return key, fmt.Errorf("no random key for GRUUs: %w", err)
	}
	if stored {
		if err := os.WriteFile(path, key[:], 0o600); err != nil {
			d.log.Warn().Err(err).Msg("the key for GRUUs cannot be saved: temporary ones are good until the daemon ends")
		}
	}
	return key, nil
}
