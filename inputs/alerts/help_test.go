package alerts

import (
	"encoding/json"
	"testing"
)

func unmarshal(t testing.TB, text []byte, to any) {
	t.Helper()
	if err := json.Unmarshal(text, to); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}
