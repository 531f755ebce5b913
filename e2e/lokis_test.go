package e2e

import (
	"testing"

	"github.com/longshore/longshore/e2e/server"
	"github.com/longshore/longshore/soak/receiver/lokifacts"
)

// A lokiStarter starts a Loki, real or not, with configs laid over its own.
type lokiStarter func(t testing.TB, config ...string) *server.LokiServer

// ofEachLoki runs a scenario with a real Loki, which not every machine has, and with the imitation
// of one.
func ofEachLoki(t *testing.T, scenario func(t *testing.T, start lokiStarter)) {
	t.Run("Loki", func(t *testing.T) { scenario(t, server.Loki) })
	t.Run("imitation", func(t *testing.T) { scenario(t, server.LokiImitation) })
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
