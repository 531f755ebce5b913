package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/longshore/longshore/agent/admin"
	"github.com/longshore/longshore/pipeline/config"
)

// A front is the agent's HTTP server, which a reload may move to another address.
type front struct {
	options admin.Options
	dataDir string
	http    config.HTTP
	server  *admin.Server
	stop    func()
	forget  func()         // its address
	leaving sync.WaitGroup // servers of former addresses
}

// A nextFront is where a front is to be next.
type nextFront struct{ commit, cancel func() }

// listen takes the address of a config, and stores it for the other commands. close must follow.
func listen(o admin.Options, cfg *config.Config) (*front, error) {
	f := &front{options: o, dataDir: cfg.DataDir, http: cfg.HTTP}
	options, err := f.optionsFor(cfg.HTTP)
	if err != nil {
		return nil, err
	}
	server, err := admin.Listen(options)
	if err != nil {
		return nil, err
	}
	f.server = server
	if f.forget, err = storeAddress(f.dataDir, server.Addr()); err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return f, nil
}

func (f *front) optionsFor(http config.HTTP) (admin.Options, error) {
	o := f.options
	o.Address, o.OrFree, o.Token = http.Listen, http.ListenDefault, http.Token
	if !http.TLS.On() {
		return o, nil
	}
	var err error
	if o.TLS, err = http.TLS.Config(o.Log); err != nil {
		return o, fmt.Errorf("http.tls: %w", err)
	}
	o.Mutual = http.TLS.ClientCAFile != ""
	return o, nil
}

// run serves until close.
func (f *front) run() { f.stop = serveInBackground(f.server) }

func serveInBackground(server *admin.Server) (stop func()) {
	return inBackground(func(ctx context.Context) {
		_ = server.Run(ctx) // it logs its own errors, and the pipelines go on without it
	})
}

// close ends the servers.
func (f *front) close() {
	f.stop()
	f.leaving.Wait()
	f.forget()
}

// prepare takes the address of a config, if it is another one, and changes nothing until commit.
func (f *front) prepare(http config.HTTP) (nextFront, error) {
	o, err := f.optionsFor(http)
	if err != nil {
		return nextFront{}, err
	}
	// A default that was taken is no longer good enough once it is asked for.
	stays := http.ListenDefault == f.http.ListenDefault || http.Listen == f.server.Addr()
	if http.Listen == f.http.Listen && stays {
		return nextFront{
			commit: func() {
				f.http = http
				f.server.Update(o)
			},
			cancel: func() {},
		}, nil
	}
	server, err := admin.Listen(o)
	if err != nil {
		return nextFront{}, err
	}
	return nextFront{
		commit: func() {
			former := f.stop
			f.http, f.server = http, server
			f.run()
			f.leaving.Go(former) // it may be answering who asked for the reload
			if _, err := storeAddress(f.dataDir, server.Addr()); err != nil {
				f.options.Log.Warn("the other commands look for the agent at its former address", "error", err)
			}
			f.options.Log.Info("the HTTP server has moved", "http", http.At(server.Addr(), ""))
		},
		cancel: func() { _ = server.Close() },
	}, nil
}
