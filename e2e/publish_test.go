package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestPublishedPage runs the agent in a container, with no config and no destination: its page is
// on a published port, and what it shows needs the token.
func TestPublishedPage(t *testing.T) {
	docker := talking(t, "published")
	socket, isUnix := strings.CutPrefix(docker.Host, "unix://")
	if !isUnix {
		t.Skip("the Docker Engine is not at a socket, which the agent could mount")
	}
	const name, image, token = "published-agent", "longshore-e2e/agent:dev", "sesame"
	docker.AppImage(image, binary(t, "./cmd/longshore"))
	address := freeAddress(t)
	docker.Remove(name)
	t.Cleanup(func() { docker.Remove(name) })
	docker.Docker("run", "-d", "--name", name, "-p", address+":5664", "--user", "65532:65532",
		"--tmpfs", "/data:mode=0700,uid=65532,gid=65532", "-e", "LONGSHORE_DATA_DIR=/data",
		"--group-add", fmt.Sprint(groupOf(t, docker, socket)), "-v", socket+":/var/run/docker.sock:ro",
		"-e", "LONGSHORE_HTTP_LISTEN=0.0.0.0:5664", "-e", "LONGSHORE_HTTP_TOKEN="+token, image, "run")
	get := func(path, token string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(resp.StatusCode, " ", string(text))
	}
	eventually(t, "the container's lines on the page", time.Minute, func() (bool, string) {
		said := get("/api/v1/logs", token)
		return strings.Contains(said, `"message":"published line 0`), said + docker.Docker("logs", "-n", "20", name)
	})
	if said := get("/", ""); !strings.HasPrefix(said, "200") || !strings.Contains(said, "<html") {
		t.Errorf("the page is %.200s", said)
	}
	if said := get("/api/v1/logs", ""); !strings.HasPrefix(said, "401") {
		t.Errorf("without the token it says %.200s", said)
	}
}
