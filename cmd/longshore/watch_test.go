package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/longshore/longshore/components"
	"github.com/longshore/longshore/pipeline/config"
)

// TestWatch changes a config in the ways that editors, deployments and Kubernetes do, and waits for
// the notice of each.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	path, secret := filepath.Join(dir, "conf", "longshore.yml"), filepath.Join(dir, "secret")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must := func(errs ...error) {
		t.Helper()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	const yaml = "inputs: {in: {type: stdin}}\noutputs: {out: {type: loki, url: http://x, auth: {bearer_token: "
	text := yaml + "\"${file:" + secret + "}\"}}}\n"
	// As Kubernetes mounts a ConfigMap: conf/longshore.yml -> ..data/longshore.yml, ..data -> ..1.
	for _, folder := range []string{"conf", "conf/..1", "conf/..2"} {
		must(os.Mkdir(filepath.Join(dir, folder), 0o700))
	}
	write(filepath.Join(dir, "conf/..1/longshore.yml"), text)
	write(filepath.Join(dir, "conf/..2/longshore.yml"), text+"# moved\n")
	write(secret, "one")
	data := filepath.Join(dir, "conf/..data")
	must(os.Symlink("..1", data), os.Symlink("..data/longshore.yml", path))

	cfg, err := config.Loader{Components: components.All()}.LoadFile(path)
	must(err)
	w := newWatch(slog.New(slog.DiscardHandler), func() *config.Config { return cfg })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		w.run(ctx)
		close(ended)
	}()
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"a link is moved", func() {
			must(os.Symlink("..2", data+"_tmp"), os.Rename(data+"_tmp", data))
		}},
		{"a secret is written", func() { write(secret, "two") }},
		{"a secret is renamed into place", func() {
			write(secret+"~", "three")
			must(os.Rename(secret+"~", secret))
		}},
		{"the file is written in place, through its link", func() { write(path, text+"# in place\n") }},
		{"an editor removes it and makes it anew", func() {
			must(os.Remove(path))
			write(path, text+"# anew\n")
		}},
		{"and again", func() { write(path, text+"# again\n") }},
	} {
		step.do()
		select {
		case <-w.changed:
		case <-time.After(time.Minute):
			t.Fatalf("%s: there is no notice", step.name)
		}
	}
	stop()
	<-ended
}

// TestWatchLeavesOthersAlone: what is written beside a config, and the config written as it was, is
// no change.
func TestWatchLeavesOthersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "longshore.yml")
	text := []byte("inputs: {in: {type: stdin}}\noutputs: {out: {type: stdout}}\n")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Loader{Components: components.All()}.LoadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newWatch(slog.New(slog.DiscardHandler), func() *config.Config { return cfg })
	defer w.notices.Close()
	if err := os.WriteFile(path+".log", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	mine := 0
	for mine == 0 { // what is written last is told last
		if e := <-w.notices.Events; w.concerns(e) {
			mine++
			if e.Name != path {
				t.Errorf("%s is not the config", e.Name)
			}
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	before := w.seen
	if w.compare(ended); w.seen != before {
		t.Error("a file that was written as it was has changed")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if w.compare(ended); w.seen != before {
		t.Error("a file that is being replaced counts as changed")
	}
}
