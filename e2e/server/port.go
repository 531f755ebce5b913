package server

import (
	"fmt"
	"testing"
)

// programAt gets a program ready, and returns where it is and a free address for it.
func programAt(t testing.TB, ensure func() (string, error)) (path, address string) {
	t.Helper()
	skipShort(t)
	path, err := ensure()
	if err != nil {
		unavailable(t, err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return path, fmt.Sprintf("127.0.0.1:%d", port)
}
