package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/longshore/longshore/pipeline/config"
)

// TestRollback keeps configs as run does, and writes them back over others: one that is not valid,
// one that is not wanted.
func TestRollback(t *testing.T) {
	dir := t.TempDir()
	path, data := filepath.Join(dir, "longshore.yml"), filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	yaml := func(comment string) string {
		return "data_dir: " + data + " # " + comment + "\ninputs: {a: {type: docker}}\noutputs: {o: {type: stdout}}\n"
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	inForce := func(text string) {
		t.Helper()
		write(text)
		cfg, err := config.Loader{Components: fakes()}.LoadFile(path)
		if err == nil {
			err = keepGood(cfg)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	a := app{stdout: &said, stderr: &said, env: func(string) (string, bool) { return "", false }, components: fakes()}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	rollBack := func(want string) {
		t.Helper()
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.rollback(path, "", at); err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(path)
		if err != nil || string(after) != want {
			t.Errorf("the config is %q (%v), want %q", after, err, want)
		}
		kept, err := filepath.Glob(path + ".replaced-20260102-030405*")
		if err != nil || len(kept) == 0 {
			t.Fatalf("what was replaced is not kept: %v", err)
		}
		if text, err := os.ReadFile(kept[len(kept)-1]); err != nil || !bytes.Equal(text, before) {
			t.Errorf("%s has %q (%v)", kept[len(kept)-1], text, err)
		}
	}
	write(yaml("first"))
	if err := a.rollback(path, "", at); err == nil || !strings.Contains(err.Error(), "no config that was in force") {
		t.Errorf("without a config that was good: %v", err)
	}
	inForce(yaml("first"))
	inForce(yaml("second"))
	inForce(yaml("second"))
	write(yaml("third") + "nonsense: [")
	rollBack(yaml("second"))
	rollBack(yaml("first"))
	for _, name := range []string{goodConfig, beforeConfig} {
		if info, err := os.Stat(filepath.Join(data, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the config's mode has changed: %v, %v", info.Mode(), err)
	}
	write("data_dir: ${NOWHERE}\n")
	if err := a.rollback(path, "", at); err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("with a data_dir that cannot be told: %v", err)
	}
	if err := a.rollback(path, data, at); err != nil {
		t.Error(err)
	}
}
