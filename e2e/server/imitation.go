package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/longshore/longshore/soak/receiver"
)

// LokiImitation starts the imitation of Loki that soak/receiver has, which behaves as a real one
// was measured to. It takes the same configs as Loki, as far as it knows them, and keeps its
// entries when it is killed.
func LokiImitation(t testing.TB, config ...string) *LokiServer {
	t.Helper()
	skipShort(t)
	own, err := overlay(fmt.Sprintf(lokiConfig, 0, 0, "/unused"), config)
	if err != nil {
		t.Fatal(err)
	}
	c, err := receiver.ReadLokiConfig(string(own))
	if err != nil {
		t.Fatal(err)
	}
	loki, err := receiver.NewLokiLike(t.TempDir(), receiver.NewFaults(1, 0, 0), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(loki.Close)
	return &LokiServer{Server: &Server{t: t, d: &imitation{loki: loki}}, URL: loki.URL()}
}

// buildImitation builds the command of the imitation into a folder.
func buildImitation(dir string) (string, error) {
	module, err := moduleFolder()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "loki")
	source := filepath.Join(module, "e2e", "imitation")
	_, err = run(source, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-o", binary, ".")
	return binary, err
}

// LokiOrImitation is a real Loki where one can be had, and else the imitation. It is for long tests
// of something else.
func LokiOrImitation(t testing.TB) *LokiServer {
	t.Helper()
	if _, err := findLoki(); err != nil && !required("loki") {
		return LokiImitation(t)
	}
	return Loki(t)
}

// An imitation lives in the test's own process.
type imitation struct {
	loki  *receiver.Loki
	speak context.CancelFunc // ends its pause
}

func (i *imitation) start() error { return i.loki.Listen() }

func (i *imitation) stop() { i.loki.Server.Close() }

func (i *imitation) kill() { i.loki.Server.Close() }

func (i *imitation) pause() error {
	if i.speak != nil {
		return errors.New("it is paused already")
	}
	var ctx context.Context
	ctx, i.speak = context.WithCancel(context.Background())
	go i.loki.FallSilent(ctx, time.Hour)
	return nil
}

func (i *imitation) resume() error {
	if i.speak == nil {
		return errors.New("it is not paused")
	}
	i.speak()
	i.speak = nil
	return nil
}

func (i *imitation) log() string { return "an imitation has no log" }
