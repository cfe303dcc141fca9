package main

import (
	"context"
	"strings"
	"testing"
)

func TestLoadGoesToThisMachineOnly(t *testing.T) {
	for _, test := range []struct {
		target, want string // want is part of the error, empty for none
	}{
		{"127.0.0.1:5060", ""},
		{"127.255.255.254:5060", ""},
		{"192.0.2.1:5060", "not in 127.0.0.0/8"},
		{"0.0.0.0:5060", "not in 127.0.0.0/8"},
		{"128.0.0.1:5060", "not in 127.0.0.0/8"},
		{"[::1]:5060", "not in 127.0.0.0/8"},
		{"[::ffff:127.0.0.1]:5060", "not in 127.0.0.0/8"},
		{"localhost:5060", "unable to parse IP"},
		{"127.0.0.1", "not an ip:port"},
	} {
		t.Run(test.target, func(t *testing.T) {
			_, err := loopback(test.target)
			expect(t, err, test.want)
		})
	}
}

func TestCommandLineIsRefused(t *testing.T) {
	for _, test := range []struct{ arguments, want string }{
		{"-target 192.0.2.1:5060", "not in 127.0.0.0/8"},
		{"-echo 0.0.0.0:5060", "not in 127.0.0.0/8"},
		{"-bench -inflight 7", "-inflight has to be"},
		{"-bench -phones 63", "-inflight has to be"},
		{"-bench -phones 100001", "-phones at most"},
		{"-bench -rounds 0", "-rounds has to be"},
		{"-bench -span 11m", "-span may be"},
		{"-bench -span 0s", "-span may be"},
		{"-bench -rows memory,", `"" is none of echo,`},
		{"-bench -rows all", `"all" is none of echo,`},
		{"-bench -pending 7", "-pending has to be"},
		{"-bench -aors 1000", "-aors four times that"},
		{"-bench -bindings 199999", "-bindings as many as"},
		{"-bench -sharing 0", "-sharing has to be"},
		{"-bench -refreshes 255", "-refreshes as many"},
		{"-bench -bindings 5000001", "all at most"},
		{"-bench -streams 63", "-streams has to be"},
		{"-bench -streams 45001", "-streams has to be"},
		{"-bench -sections 63", "-sections has to be"},
		{"-bench -sections 5000001", "-sections has to be"},
		{"-bench -settle 11m", "-settle may be"},
		{"-bench -flood 11m", "-flood may be"},
		{"-bench -flood 0s", "-flood may be"},
		{"-target 127.0.0.1:9 -peers /nonexistent", "no such file"},
	} {
		t.Run(test.arguments, func(t *testing.T) {
			expect(t, run(context.Background(), strings.Fields(test.arguments)), test.want)
		})
	}
}

// expect wants an error that holds the text, or none for none.
func expect(t *testing.T, err error, text string) {
	t.Helper()
	switch {
	case text == "" && err != nil:
		t.Error(err)
	case text != "" && (err == nil || !strings.Contains(err.Error(), text)):
		t.Errorf("error %v, want %q in it", err, text)
	}
}
