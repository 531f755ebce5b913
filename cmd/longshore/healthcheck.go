package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/pipeline/tlsfiles"
)

func (a *app) healthcheckCommand() *cobra.Command {
	var path, url string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Check whether a running longshore is alive",
		Long: "Requests /health at the http.listen of the config, which is found as by run, or at --url. " +
			"The exit code is 0 if longshore is alive, else 1. Meant for HEALTHCHECK in containers.",
		Args: cobra.NoArgs,
		RunE: action(func(cmd *cobra.Command, _ []string) error {
			client := localClient(tlsfiles.Server{})
			if url == "" {
				var err error
				if url, client, err = a.healthURL(path); err != nil {
					return &failure{exitFailed, err} // Docker knows only 0 and 1
				}
			}
			return a.askHealth(cmd.Context(), client, url, timeout)
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&url, "url", "", "request this URL, such as http://127.0.0.1:5664/health")
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Second, "how long to wait for an answer")
	return cmd
}

// healthURL returns the URL of /health by a config. An unspecified address, such as 0.0.0.0, is
// dialled as this host.
func (a *app) healthURL(path string) (string, *http.Client, error) {
	cfg, err := a.loadUnread(path)
	if err != nil {
		return "", nil, err
	}
	address, err := agentAddress(cfg)
	if err != nil {
		return "", nil, err
	}
	return cfg.HTTP.At(address, "/health"), localClient(cfg.HTTP.TLS), nil
}

// localClient returns a client for the agent with a config: it goes by no proxy, and trusts the
// certificate that the config names.
func localClient(server tlsfiles.Server) *http.Client {
	t := &http.Transport{DisableKeepAlives: true}
	if server.On() {
		t.TLSClientConfig = server.Peer()
	}
	return &http.Client{Transport: t}
}

func (a *app) askHealth(ctx context.Context, client *http.Client, url string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return err // contains the URL
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s%s", url, response.Status, reasons(body))
	}
	_, err = printf(a.stdout, "%s\n", "alive")
	return err
}

// reasons returns the reasons that /health gives.
func reasons(body []byte) string {
	var answer struct {
		Problems []struct{ Name, Reason string }
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Problems) == 0 {
		return ""
	}
	var why []string
	for _, i := range answer.Problems {
		why = append(why, i.Name+": "+i.Reason)
	}
	return ": " + strings.Join(why, "; ")
}
