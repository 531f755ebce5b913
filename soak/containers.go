package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"github.com/longshore/longshore/soak/numbered"
)

// containers write lines in a Docker Engine. The zero value and nil are none.
type containers struct {
	soak   *soak
	engine *client.Client
	host   string
	image  string
	ids    []string
	counts []uint64
}

const (
	// containerCommand makes this program write lines to standard output.
	containerCommand = "write"
	// containerCount containers share containerPart of the rate.
	containerCount = 2
	containerPart  = 0.1
)

// openContainers prepares as many containers as are used: none where there is no engine.
func (s *soak) openContainers(ctx context.Context) (*containers, error) {
	if s.docker == "off" {
		return nil, nil
	}
	opts := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if s.docker != "auto" {
		opts = append(opts, client.WithHost(s.docker))
	}
	engine, err := client.NewClientWithOpts(opts...)
	if err != nil {
		return nil, err
	}
	ask, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := engine.Ping(ask); err != nil {
		engine.Close()
		if s.docker == "auto" {
			fmt.Println("soak: no containers:", err)
			return nil, nil
		}
		return nil, err
	}
	c := &containers{soak: s, engine: engine, host: engine.DaemonHost(),
		image: fmt.Sprintf("longshore-soak:%d", os.Getpid())}
	if err := c.create(ctx); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// create makes an image of this very program, and containers of it.
func (c *containers) create(ctx context.Context) error {
	layer, err := ownLayer()
	if err != nil {
		return fmt.Errorf("making an image of this program: %w", err)
	}
	answer, err := c.engine.ImageImport(ctx, image.ImportSource{Source: layer, SourceName: "-"}, c.image,
		image.ImportOptions{})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer)
	answer.Close()
	if err != nil {
		return err
	}
	each := int(float64(c.soak.rate) * containerPart / containerCount)
	lines := uint64(float64(each) * c.soak.duration.Seconds())
	for k := range containerCount {
		writer := c.soak.options.files + k
		made, err := c.engine.ContainerCreate(ctx, &container.Config{
			Image: c.image,
			Cmd: []string{
				"/soak", containerCommand, "-writer", strconv.Itoa(writer),
				"-rate", strconv.Itoa(each), "-lines", strconv.FormatUint(lines, 10),
			},
		}, nil, nil, nil, c.name(k))
		if err != nil {
			return err
		}
		c.ids = append(c.ids, made.ID)
		c.counts = append(c.counts, lines)
	}
	return nil
}

func (c *containers) name(k int) string { return fmt.Sprintf("longshore-soak-%d-%d", os.Getpid(), k) }

// ownLayer packs this program's file. It must be static: there is nothing else in the image.
func ownLayer() (io.Reader, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "soak", Mode: 0o755, Size: int64(len(program))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	return &layer, w.Close()
}

// rate gives the lines per second of all containers.
func (c *containers) rate() int {
	if c == nil {
		return 0
	}
	return int(float64(c.soak.options.rate) * containerPart)
}

// config gives the agent's input for the containers.
func (c *containers) config() string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("  containers: {type: docker, host: %q, include: {names: [longshore-soak-%d-*]}}\n", c.host,
		os.Getpid())
}

// run starts the containers and waits until they have written everything.
func (c *containers) run(ctx context.Context) error {
	if c == nil {
		return nil
	}
	for _, id := range c.ids {
		if err := c.engine.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
			return fmt.Errorf("starting a container: %w", err)
		}
	}
	for _, id := range c.ids {
		ended, errs := c.engine.ContainerWait(ctx, id, container.WaitConditionNotRunning)
		select {
		case state := <-ended:
			if state.StatusCode != 0 {
				return fmt.Errorf("a container ended with code %d; was this program built with CGO_ENABLED=0?",
					state.StatusCode)
			}
		case err := <-errs:
			return fmt.Errorf("waiting for a container: %w", err)
		}
	}
	return nil
}

// written gives how many lines each container writes.
func (c *containers) written() []uint64 {
	if c == nil {
		return nil
	}
	return c.counts
}

// String tells of the containers, for the report.
func (c *containers) String() string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf(" and from %d containers", len(c.ids))
}

func (c *containers) close() {
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var errs []error
	for _, id := range c.ids {
		errs = append(errs, c.engine.ContainerRemove(ctx, id, container.RemoveOptions{Force: true}))
	}
	_, err := c.engine.ImageRemove(ctx, c.image, image.RemoveOptions{Force: true})
	if err := errors.Join(append(errs, err)...); err != nil {
		fmt.Fprintln(os.Stderr, "soak: removing the containers:", err)
	}
	c.engine.Close()
}

// writeContainer is the program inside of a container.
func writeContainer(args []string) error {
	flags := flag.NewFlagSet(containerCommand, flag.ExitOnError)
	writer := flags.Int("writer", 0, "number of the writer")
	rate := flags.Int("rate", 1000, "lines per second")
	lines := flags.Uint64("lines", 1000, "lines to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	const tick = 20 * time.Millisecond
	began, n := time.Now(), uint64(0)
	var buf []byte
	for n < *lines {
		now := time.Now()
		buf = buf[:0]
		due := uint64(now.Sub(began).Seconds() * float64(*rate))
		for ; n < min(*lines, due); n++ {
			buf = numbered.Append(buf, *writer, n, now)
		}
		if _, err := os.Stdout.Write(buf); err != nil {
			return err
		}
		time.Sleep(tick)
	}
	return nil
}
