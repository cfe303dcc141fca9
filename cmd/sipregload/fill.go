package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// binding is a line that sipregd --import reads.
type binding struct {
	AORName      string    `json:"aorname"`
	Domain       string    `json:"domain"`
	Contact      string    `json:"contact"`
	Params       string    `json:"params"`
	Q            string    `json:"q"`
	CallID       string    `json:"call_id"`
	CSeq         uint32    `json:"cseq"`
	Expires      time.Time `json:"expires"`
	Changed      time.Time `json:"changed"`
	ServedDomain string    `json:"served_domain"`
	Authname     string    `json:"authname"`
	Label        string    `json:"label"`
	UserAgent    string    `json:"user_agent"`
	Transport    string    `json:"transport"`
	Source       string    `json:"source"`
}

// writeBindings writes a binding for each of the peers from a number on, as
// their phones would make it.
func writeBindings(out io.Writer, peers []names, from int, host string, now time.Time) error {
	w := bufio.NewWriterSize(out, 1<<20)
	encoder := json.NewEncoder(w)
	for i, n := range peers {
		err := encoder.Encode(binding{
			AORName: n.aor, Contact: contactURI(n.aor, phoneAddress), CallID: callID(from+i, host), CSeq: 1,
			Expires: now.Add(2 * time.Hour), Changed: now, Authname: n.authname, Label: n.label,
			UserAgent: userAgent, Transport: "UDP", Source: "127.0.0.1:5060",
		})
		if err != nil {
			return err
		}
	}
	return w.Flush()
}

// importSize is how many bindings are imported at once: the daemon gives an
// import up where the disk falls behind.
const importSize = 200_000

// fill has the daemon import a binding for each peer. That is not measured.
func (sb *startBench) fill() error {
	for from := 0; from < len(sb.peers); from += importSize {
		to := min(from+importSize, len(sb.peers))
		if err := sb.importBindings(from, to); err != nil {
			return err
		}
	}
	return nil
}

func (sb *startBench) importBindings(from, to int) error {
	var output bytes.Buffer
	command := exec.CommandContext(sb.ctx, sb.sipregd, "--config", sb.path(), "--import")
	command.Stdout, command.Stderr = &output, &output
	in, err := command.StdinPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	err = errors.Join(writeBindings(in, sb.peers[from:to], from, sb.host, time.Now()), in.Close(), command.Wait())
	if err != nil {
		return fmt.Errorf("%s --import: %w\n%s", sb.sipregd, err, output.String())
	}
	return nil
}
