package receiver

import (
	"testing"

	"github.com/longshore/longshore/soak/receiver/lokifacts"
)

// TestLokiFacts holds the imitation against all that a real Loki was measured to do; e2e holds a
// real one against them.
func TestLokiFacts(t *testing.T) {
	lokifacts.Check(t, func(t *testing.T, config string) string {
		t.Helper()
		c, err := ReadLokiConfig(lokifacts.Defaults, config)
		if err != nil {
			t.Fatal(err)
		}
		l, err := NewLokiLike(t.TempDir(), NewFaults(1, 0, 0), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		return l.URL()
	})
}
