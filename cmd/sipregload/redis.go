package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const redisServer = "redis-server"

// redis is a redis-server of this machine's that nodes share.
type redis struct {
	address netip.AddrPort
	command *exec.Cmd
	output  transcript
	ended   chan struct{} // closed then
}

// startRedis starts one that keeps its files in a directory. It shares the generator's
// core, so that nodes have theirs to themselves.
func (b *benchmark) startRedis(directory string) (*redis, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	// A hash of a few bindings stays in one piece (README, "Many machines").
	r := &redis{address: address, ended: make(chan struct{}), command: exec.Command(redisServer, "--bind", "127.0.0.1",
		"--port", fmt.Sprint(address.Port()), "--dir", directory, "--save", "", "--appendonly", "no",
		"--hash-max-listpack-value", "1024")}
	r.command.Stdout, r.command.Stderr = &r.output, &r.output
	r.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := b.launchBeside(r.command); err != nil {
		return nil, err
	}
	go func() {
		_ = r.command.Wait()
		close(r.ended)
	}()
	if err := r.waitForAnswer(b.ctx); err != nil {
		r.stop()
		return nil, fmt.Errorf("%s: %w\n%s", redisServer, err, r.output.String())
	}
	return r, nil
}

func (b *benchmark) launchBeside(command *exec.Cmd) error {
	if b.pinned {
		return startOn(command, b.cores.generator)
	}
	return command.Start()
}

func (r *redis) waitForAnswer(ctx context.Context) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if _, err := r.info("server"); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.ended:
			return errors.New("it ended at once")
		case <-time.After(probing):
		}
	}
	return fmt.Errorf("no answer in %v", patience)
}

func (r *redis) stop() {
	_ = r.command.Process.Kill() // nothing of it is to be kept
	<-r.ended
}

func (r *redis) url() string { return "redis://" + r.address.String() }

// keepLog has Redis write each change to its log, and that to the disk every second, or
// no more. It returns once Redis has begun with that.
func (r *redis) keepLog(ctx context.Context, keeps bool) error {
	value := "no"
	if keeps {
		value = "yes"
	}
	if answer, err := r.say("CONFIG SET appendonly " + value); err != nil || answer != "OK" {
		return fmt.Errorf("appendonly %s: %q, %w", value, answer, errors.Join(err))
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); sleepUntil(ctx, time.Now().Add(probing)) {
		state, err := r.info("persistence")
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		if state["aof_rewrite_in_progress"] == "0" && state["aof_rewrite_scheduled"] == "0" {
			return nil
		}
	}
	return fmt.Errorf("the log of Redis was not begun in %v", patience)
}

// redisCounts is what Redis tells of itself. All but its memory is counted since its start.
type redisCounts struct {
	cpu    time.Duration // of all its threads
	trips  int64         // scripts that were run: each is one round trip of a node
	in     int64         // bytes that came
	out    int64         // bytes that went
	memory int64         // bytes that it uses for what it keeps
}

// since is what came between an earlier reading and this one.
func (c redisCounts) since(earlier redisCounts) redisCounts {
	return redisCounts{c.cpu - earlier.cpu, c.trips - earlier.trips, c.in - earlier.in, c.out - earlier.out, c.memory - earlier.memory}
}

func (r *redis) counts() (c redisCounts, err error) {
	info, err := r.info("everything")
	if err != nil {
		return c, err
	}
	if c, err = readCounts(info); err != nil {
		return c, err
	}
	c.cpu, err = family{r.command.Process.Pid}.processorTime()
	return c, err
}

func readCounts(info map[string]string) (c redisCounts, err error) {
	for name, value := range map[string]*int64{
		"total_net_input_bytes": &c.in, "total_net_output_bytes": &c.out, "used_memory": &c.memory,
	} {
		number, failed := strconv.ParseInt(info[name], 10, 64)
		if failed != nil {
			return c, fmt.Errorf("INFO of Redis, %s: %w", name, failed)
		}
		*value = number
	}
	for _, command := range []string{"eval", "evalsha"} {
		calls, _, _ := strings.Cut(strings.TrimPrefix(info["cmdstat_"+command], "calls="), ",")
		if calls == "" { // it was not used yet
			continue
		}
		number, err := strconv.ParseInt(calls, 10, 64)
		if err != nil {
			return c, fmt.Errorf("INFO of Redis, %s: %w", command, err)
		}
		c.trips += number
	}
	return c, nil
}

// info asks Redis about itself.
func (r *redis) info(section string) (map[string]string, error) {
	text, err := r.say("INFO " + section)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			values[name] = value
		}
	}
	return values, nil
}

// say sends Redis a command and returns its answer, a status or a text.
func (r *redis) say(command string) (string, error) {
	conn, err := net.DialTimeout("tcp", r.address.String(), patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	return readAnswer(bufio.NewReader(conn))
}

// readAnswer reads one in Redis's protocol: "+status", "-error" or "$length" and a text.
func readAnswer(in *bufio.Reader) (string, error) {
	const mostText = 1 << 20
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSpace(line)
	if status, is := strings.CutPrefix(line, "+"); is {
		return status, nil
	}
	length, is := strings.CutPrefix(line, "$")
	size, err := strconv.Atoi(length)
	if !is || err != nil || size < 0 || size > mostText {
		return "", fmt.Errorf("an answer of Redis that is none: %q", line)
	}
	text := make([]byte, size)
	_, err = io.ReadFull(in, text)
	return string(text), err
}
