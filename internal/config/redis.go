package config

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sipregd/internal/inifile"
	"sipregd/internal/sipuri"
)

// redisURL reads where Redis is. None of its faults repeats the URL, which may hold a
// password.
func redisURL(target *string) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		if fault := checkRedisURL(value); fault != nil {
			return fault
		}
		*target = value
		return nil
	}
}

func checkRedisURL(value string) *inifile.Fault {
	const example = "write one such as redis://127.0.0.1:6379/0"
	u, err := url.Parse(value)
	switch {
	case err != nil || !slices.Contains([]string{"redis", "rediss", "valkey", "valkeys", "unix"}, u.Scheme) || u.Host == "" && u.Path == "":
		return &inifile.Fault{Cause: "is no URL of a Redis server", Advice: example}
	case u.Fragment != "":
		return &inifile.Fault{Cause: "holds a #", Advice: "write # as %23 in a password"}
	case u.Scheme == "unix":
		return checkRedisSocket(u)
	case !areRedisAddresses(strings.Split(u.Host, ",")):
		return &inifile.Fault{Cause: "names no host and port of a Redis server", Advice: example}
	}
	if database := strings.Trim(u.Path, "/"); database != "" {
		if _, err := strconv.ParseUint(database, 10, 16); err != nil {
			return &inifile.Fault{Cause: "names no database", Advice: "write its number behind the host, as the 0 in redis://127.0.0.1:6379/0"}
		}
	}
	return checkRedisQuery(u)
}

func checkRedisSocket(u *url.URL) *inifile.Fault {
	if u.Host != "" {
		return &inifile.Fault{Cause: "names a socket without a whole path", Advice: "write three slashes, as in unix:///run/redis/redis.sock"}
	}
	return checkRedisQuery(u)
}

// checkRedisQuery checks what stands behind the ? of a URL.
func checkRedisQuery(u *url.URL) *inifile.Fault {
	known := []string{"master_set", "addr", "db", "sentinel_username", "sentinel_password", "ca", "certificate", "private_key", "server_name", "skip_verify"}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return &inifile.Fault{Cause: "has something behind its ? that is not read", Advice: "write name=value, and & between two"}
	}
	for name, values := range query {
		switch {
		case !slices.Contains(known, name):
			return &inifile.Fault{Cause: "has something behind its ? that is not known", Advice: "known are " + strings.Join(known, ", ")}
		case name == "addr" && !areRedisAddresses(values):
			return &inifile.Fault{Cause: "has an addr that is no host and port", Advice: "write each as addr=10.0.0.6:6379"}
		case name == "master_set" && (len(values) != 1 || values[0] == ""):
			return &inifile.Fault{Cause: "has an empty master_set", Advice: "write the name that the Sentinels know it by, as master_set=mymaster"}
		}
	}
	return nil
}

func areRedisAddresses(list []string) bool {
	return !slices.ContainsFunc(list, func(text string) bool { return !isRedisAddress(text) })
}

// isRedisAddress takes host and host:port.
func isRedisAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.Trim(text, "[]"), "6379"
	}
	_, portErr := sipuri.ParsePort(port)
	return portErr == nil && host != "" && (sipuri.IsHost(host) || net.ParseIP(host) != nil)
}
