package components_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// startsGoroutine matches what starts one, or a function that a timer or a context calls in one.
var startsGoroutine = regexp.MustCompile(`\bgo func\(|\.Go\(|AfterFunc\(`)

// uncontained are goroutines of inputs and outputs that do too little to panic.
var uncontained = map[string]string{
	"inputs/docker/watcher.go":                  "passes on signals",
	"inputs/docker/ticker.go":                   "passes on signals",
	"inputs/stdin/interrupt_unix.go":            "closes a descriptor",
	"inputs/syslog/closing.go":                  "closes sockets and contexts",
	"outputs/email/send.go":                     "sets a deadline",
	"inputs/receive/receivetest/receivetest.go": "is for tests",
}

// TestGoroutinesAreContained: a panic in a goroutine that a component has started is kept from the
// rest of the program.
func TestGoroutinesAreContained(t *testing.T) {
	seen := 0
	for _, kind := range []string{"inputs", "outputs"} {
		err := filepath.WalkDir(filepath.Join("..", kind), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			lines := strings.Split(string(text), "\n")
			name, _ := strings.CutPrefix(filepath.ToSlash(path), "../")
			for i, line := range lines {
				if !startsGoroutine.MatchString(line) || uncontained[name] != "" {
					continue
				}
				seen++
				next := lines[i+1]
				if !strings.Contains(next, "Contain()") && !strings.Contains(next, "defer func()") &&
					!strings.Contains(line, "b.onTimer") {
					t.Errorf("%s:%d starts a goroutine that does not defer Env.Panicked.Contain: %s",
						name, i+1, strings.TrimSpace(line))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 7 {
		t.Errorf("only %d goroutines were found", seen)
	}
}
