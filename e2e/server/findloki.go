package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// lokiURL is the environment variable that names a Loki to test with.
const lokiURL = "LONGSHORE_E2E_LOKI_URL"

const howToGetLoki = "there is no Grafana Loki; name one in " + lokiURL + ", put a program loki on PATH or into %s, " +
	"or run a Docker Engine that can pull grafana/loki"

// findLoki returns a program loki: of PATH, of the cache folder, or out of the published image.
// None is built here: Loki is under the AGPL, which no module file of this repository may require.
var findLoki = sync.OnceValues(func() (string, error) {
	if path, err := exec.LookPath("loki"); err == nil {
		return path, nil
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "loki")
	if exists(path) {
		return path, nil
	}
	none := fmt.Errorf(howToGetLoki, path)
	e := machineEngine()
	if e == nil {
		return "", none
	}
	path, err = lokiOfImage(e)
	if err != nil {
		return "", errors.Join(none, err)
	}
	return path, nil
})

// lokiOfImage pulls the image that docker-compose.yml names, and copies the program out of it.
func lokiOfImage(e *engine) (string, error) {
	version, err := lokiVersion()
	if err != nil {
		return "", err
	}
	docker := func(args ...string) (string, error) {
		return run("", []string{"DOCKER_HOST=" + e.host}, e.cli, args...)
	}
	dir, err := once("loki-image-"+version, "getting the image of Loki "+version, func(dir string) error {
		name := "longshore-e2e-loki-" + strconv.FormatInt(time.Now().UnixNano(), 36)
		if _, err := docker("create", "--name", name, "grafana/loki:"+version); err != nil {
			return err
		}
		defer docker("rm", name)
		_, err := docker("cp", name+":/usr/bin/loki", filepath.Join(dir, "loki"))
		return err
	})
	return filepath.Join(dir, "loki"), err
}

// lokiVersion is the version that docker-compose.yml uses.
func lokiVersion() (string, error) {
	module, err := moduleFolder()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(module, "docker-compose.yml"))
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`image: grafana/loki:(\S+)`).FindSubmatch(text)
	if found == nil {
		return "", errors.New("docker-compose.yml names no image of Loki")
	}
	return string(found[1]), nil
}

// foreignLoki is a Loki that someone else runs. Each test is a tenant of its own, where that Loki
// has auth_enabled, so that it sees nothing of others.
func foreignLoki(t testing.TB, to string, config []string) *LokiServer {
	t.Helper()
	if len(config) > 0 {
		t.Skipf("the test needs a Loki configured by %q, and %s names one that is not ours", config, lokiURL)
	}
	behind, err := url.Parse(strings.TrimSuffix(to, "/"))
	if err != nil {
		t.Fatalf("%s: %v", lokiURL, err)
	}
	tenant := "longshore-e2e-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(behind)
		if r.Out.Header.Get(tenantHeader) == "" {
			r.Out.Header.Set(tenantHeader, tenant)
		}
	}}
	front := httptest.NewServer(http.HandlerFunc(proxy.ServeHTTP))
	t.Cleanup(front.Close)
	why := fmt.Sprintf("the test ends or pauses Loki, and %s names one that is not ours", lokiURL)
	return &LokiServer{Server: &Server{t: t, foreign: why}, URL: front.URL}
}

const tenantHeader = "X-Scope-OrgID"
