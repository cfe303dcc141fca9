package shared

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// TestCloseEndsAScan closes a store that goes through many keys, of which it wants none.
func TestCloseEndsAScan(t *testing.T) {
	const pages = 40
	redis := startServer(t)
	redis.cli("EVAL", "for i = 1, ARGV[1] do redis.call('HSET', 'b:{' .. i .. '}', 'v', '1-1') end", "0", fmt.Sprint(pages*scanned))
	one, err := Open(Options{URL: redis.slowly(20 * time.Millisecond), Node: "one", Observer: &watcher{}, Timeout: calm})
	if err != nil {
		t.Fatal(err)
	}
	adopted := make(chan error, 1)
	go func() { adopted <- one.Adopt() }()
	eventually(t, "it has begun", func() bool { return redis.scans() > 0 })
	_ = one.Close()
	if err := <-adopted; !errors.Is(err, errPart) || one.Numbers().Errors > 0 {
		t.Errorf("%v, %d errors", err, one.Numbers().Errors)
	}
	if scans := redis.scans(); scans > pages/2 {
		t.Errorf("it went through %d pages, of %d", scans, pages)
	}
}
