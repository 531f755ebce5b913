package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// addressFile is the file in data_dir that has the address of the running agent's HTTP server, as
// host:port: the config does not tell the port where it was taken, or is any free one.
const addressFile = "http-address"

// maxAddress bounds that file.
const maxAddress = 1 << 10

// storeAddress stores the address for the other commands, until remove is called. The data folder
// must be locked by this process.
func storeAddress(dataDir, address string) (remove func(), err error) {
	path := filepath.Join(dataDir, addressFile)
	f, err := pipeline.OpenDataFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, fmt.Errorf("storing the address of the HTTP server: %w", err)
	}
	_, err = f.WriteString(address + "\n")
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return nil, fmt.Errorf("storing the address of the HTTP server: %w", err)
	}
	return func() { _ = os.Remove(path) }, nil // a file that stays is no harm: nobody answers there
}

// agentAddress returns where the agent with this config is asked. Where the config leaves the port
// open, a running agent has stored it.
func agentAddress(cfg *config.Config) (string, error) {
	_, port, err := net.SplitHostPort(cfg.HTTP.Listen)
	if err != nil || port != "0" && !cfg.HTTP.ListenDefault {
		return cfg.HTTP.Listen, nil // any error was one of the config
	}
	path := filepath.Join(cfg.DataDir, addressFile)
	content, err := pipeline.ReadFile(path, maxAddress)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return cfg.HTTP.Listen, nil
	case errors.Is(err, fs.ErrPermission) && cfg.HTTP.ListenDefault:
		return cfg.HTTP.Listen, nil
	case err != nil:
		return "", fmt.Errorf("looking for the running agent's address: %w", err)
	}
	address := strings.TrimSpace(string(content))
	if _, _, err := net.SplitHostPort(address); err != nil {
		return "", fmt.Errorf("%s has no address (%q); remove it, or name the agent's address", path, address)
	}
	return address, nil
}
