package main

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"sipregd/internal/location/shared"
	"sipregd/internal/transport"
)

// checkTakeover fails where another daemon answers at the ports that this one is to share,
// while Redis does not serve this one: it would answer 503 to phones that are served now,
// and whoever sees it start would end the other one.
func (d *sipregd) checkTakeover(where transport.Addresses) error {
	store, isShared := d.store.(*shared.Store)
	if !where.Shared || !isShared {
		return nil
	}
	cause := store.Status().Failure
	if cause == nil {
		return nil
	}
	where.Shared, where.Inherited = false, nil
	probe, err := transport.Listen(where, d.shown, time.Second, func(error) {})
	switch {
	case err == nil:
		probe.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("this daemon does not take over from the one that answers at its ports, as Redis does not serve it (%w): %s, and start it again", cause, shared.Advice(cause))
	}
	return nil
}
