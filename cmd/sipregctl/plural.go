package main

import "fmt"

// plural returns "1 binding" or "3 bindings".
func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
