package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/longshore/longshore/pipeline/config"
)

func TestAgentAddress(t *testing.T) {
	const free = "127.0.0.1:40001"
	tests := []struct {
		name   string
		http   config.HTTP
		stored string
		want   string // nothing: an error
	}{
		{"what the config says", config.HTTP{Listen: "127.0.0.1:9000"}, free, "127.0.0.1:9000"},
		{"any free port", config.HTTP{Listen: "127.0.0.1:0"}, free, free},
		{"the default was taken", config.HTTP{Listen: config.DefaultListen, ListenDefault: true}, free, free},
		{"nothing is stored", config.HTTP{Listen: config.DefaultListen, ListenDefault: true}, "", config.DefaultListen},
		{"damaged", config.HTTP{Listen: "127.0.0.1:0"}, "\x00\x00", ""},
		{"too long to be one", config.HTTP{Listen: "127.0.0.1:0"}, string(make([]byte, maxAddress+1)), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if test.stored != "" {
				if err := os.WriteFile(filepath.Join(dir, addressFile), []byte(test.stored), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := agentAddress(&config.Config{DataDir: dir, HTTP: test.http})
			if got != test.want || (err != nil) != (test.want == "") {
				t.Errorf("the address is %q (%v), want %q", got, err, test.want)
			}
		})
	}
}

func TestStoredAddressIsFoundUntilTheEnd(t *testing.T) {
	cfg := &config.Config{DataDir: t.TempDir(), HTTP: config.HTTP{Listen: "[::1]:0"}}
	remove, err := storeAddress(cfg.DataDir, "[::1]:40002")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := agentAddress(cfg); err != nil || got != "[::1]:40002" {
		t.Errorf("while the agent runs its address is %q (%v)", got, err)
	}
	remove()
	if got, err := agentAddress(cfg); err != nil || got != "[::1]:0" {
		t.Errorf("after its end the address is %q (%v)", got, err)
	}
}

func TestAddressIsNotStoredThroughALink(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, addressFile+".new")); err != nil {
		t.Fatal(err)
	}
	if _, err := storeAddress(dir, "127.0.0.1:1"); err == nil {
		t.Error("a link is followed")
	}
	if content, _ := os.ReadFile(victim); string(content) != "precious" {
		t.Errorf("what the link names is now %q", content)
	}
}
