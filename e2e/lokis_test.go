package e2e

import (
	"testing"

	"github.com/longshore/longshore/e2e/server"
	"github.com/longshore/longshore/soak/receiver/lokifacts"
)

// A lokiStarter starts a Loki, real or not, with configs laid over its own.
type lokiStarter func(t testing.TB, config ...string) *server.LokiServer

// ofEachLoki runs a scenario with a real Loki, which not every machine has, and with the imitation
// of one, side by side: much of a scenario is waiting.
func ofEachLoki(t *testing.T, scenario func(t *testing.T, start lokiStarter)) {
	for name, start := range map[string]lokiStarter{"Loki": server.Loki, "imitation": server.LokiImitation} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario(t, start)
		})
	}
}

// TestLokiFacts holds a real Loki against all that it was measured to do, as soak/receiver holds
// the imitation.
func TestLokiFacts(t *testing.T) {
	lokifacts.Check(t, func(t *testing.T, config string) string {
		t.Helper()
		configs := []string{lokifacts.Defaults}
		if config != "" {
			configs = append(configs, config)
		}
		return server.Loki(t, configs...).URL
	})
}
