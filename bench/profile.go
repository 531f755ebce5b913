package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/pprof/profile"
)

// profileSeconds is how long each work is looked at.
const profileSeconds = 4

// profile writes a profile of the agent's CPU time over all works at full speed, by which
// the compiler can build it (go help build, -pgo).
func (b bench) profile(ctx context.Context) error {
	var all []*profile.Profile
	for _, w := range works {
		if !b.wants(w.name) || w.workers > 1 {
			continue
		}
		p, err := b.profileOf(ctx, w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		all = append(all, p)
	}
	sum, err := profile.Merge(all)
	if err != nil {
		return fmt.Errorf("merging the profiles: %w", err)
	}
	for _, m := range sum.Mapping {
		m.File, m.BuildID = "", ""
	}
	f, err := os.Create(b.profileTo)
	if err != nil {
		return err
	}
	if err := sum.Write(f); err != nil {
		return fmt.Errorf("writing %s: %w", b.profileTo, err)
	}
	return f.Close()
}

// profileOf looks at the agent while it ships a work's lines, of which there should be enough.
func (b bench) profileOf(ctx context.Context, w work) (*profile.Profile, error) {
	dir := filepath.Join(b.dir, w.name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := w.writeFiles(dir, b.lines); err != nil {
		return nil, err
	}
	recv, err := newReceiver(1)
	if err != nil {
		return nil, err
	}
	defer recv.close()
	input, closed, err := w.input(dir)
	if err != nil {
		return nil, err
	}
	defer closed()
	if b.admin, err = freeAddress(); err != nil {
		return nil, err
	}
	config, err := w.config(input, recv)
	if err != nil {
		return nil, err
	}
	a, err := b.startAgent(ctx, config, 1)
	if err != nil {
		return nil, err
	}
	if err := recv.wait(ctx, a, 1); err != nil {
		return nil, err
	}
	p, err := fetchProfile(ctx, b.admin)
	if _, stopped := a.stop(); err == nil {
		err = stopped
	}
	return p, err
}

func fetchProfile(ctx context.Context, address string) (*profile.Profile, error) {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", address, profileSeconds)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, resp.Status)
	}
	p, err := profile.Parse(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the profile of %s: %w", url, err)
	}
	return p, nil
}

// freeAddress gives an address that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
