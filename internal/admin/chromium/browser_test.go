package chromium

import (
	"fmt"
	"testing"
)

func TestComplaints(t *testing.T) {
	b := Start(t)
	b.Open("data:text/html,<p>page")
	for i := range 20 {
		b.Eval(fmt.Sprintf("console.warn(%d)", i))
		if got := b.Complaints(); len(got) != i+1 || got[i] != fmt.Sprint("warning: ", i) {
			t.Fatalf("after warning %d: %q", i, got)
		}
	}
}
