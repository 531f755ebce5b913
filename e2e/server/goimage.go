package server

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// GoImage makes an image that a Dockerfile builds Go programs on, in place of the published one,
// such as golang:1.26.8: this machine's toolchain and certificate authorities, the modules of this
// module's go.sum, which no network is needed for, and busybox as sh and mkdir.
func (d *DockerServer) GoImage(tag string) {
	d.t.Helper()
	root, err := goRoot()
	if err != nil {
		unavailable(d.t, err)
	}
	d.image(tag, root, []string{
		"ENV GOTOOLCHAIN=local GOPATH=/go GOPROXY=file:///modules GOSUMDB=off",
		"ENV PATH=/go/bin:/usr/local/go/bin:/bin",
		"WORKDIR /go",
		`CMD ["sh"]`,
	}, d.Own)
}

func goRoot() (rootfs, error) {
	var root rootfs
	root.folder("/tmp", 0, 0o1777)
	root.text("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644)
	root.text("/etc/group", "root:x:0:\n", 0o644)
	busybox, err := staticBusybox()
	if err != nil {
		return rootfs{}, err
	}
	for _, applet := range []string{"sh", "mkdir"} {
		root.file("/bin/"+applet, busybox)
	}
	authorities, err := findAuthorities()
	if err != nil {
		return rootfs{}, err
	}
	root.file("/etc/ssl/certs/ca-certificates.crt", authorities)
	goroot, err := goEnv("GOROOT")
	if err != nil {
		return rootfs{}, err
	}
	if err := root.tree("/usr/local/go", goroot, notToBuildWith); err != nil {
		return rootfs{}, fmt.Errorf("listing the files of %s: %w", goroot, err)
	}
	compiled, err := compiledModules()
	if err != nil {
		return rootfs{}, err
	}
	if err := root.tree("/root/.cache/go-build", compiled, nil); err != nil {
		return rootfs{}, fmt.Errorf("listing the files of %s: %w", compiled, err)
	}
	return root, root.modules("/modules")
}

// compiledModules returns a build cache that holds the standard library and the modules of go.sum
// as the images need them: compiling those takes most of the time of a build, and they seldom
// change.
func compiledModules() (string, error) {
	module, err := moduleFolder()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version())
	for _, name := range []string{"go.mod", "go.sum", "cmd/longshore/default.pgo"} {
		text, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", err
		}
		sum.Write(text)
	}
	name := "go-build-" + hex.EncodeToString(sum.Sum(nil))[:12]
	return once(name, "compiling what images are built from, about a minute, once", func(dir string) error {
		env := []string{"GOWORK=off", "CGO_ENABLED=0", "GOCACHE=" + dir}
		for _, pkg := range []string{"./cmd/longshore", "./examples/sample-app"} {
			if _, err := run(module, env, "go", "build", "-trimpath", "-o", os.DevNull, pkg); err != nil {
				return err
			}
		}
		return nil
	})
}

// notToBuildWith knows what of a Go toolchain no build of a program reads.
func notToBuildWith(file string) bool {
	base := filepath.Base(file)
	return base == "testdata" || base == "test" || base == "api" || strings.HasSuffix(base, "_test.go") ||
		strings.HasSuffix(file, "/src/cmd")
}

func goEnv(name string) (string, error) {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		return "", fmt.Errorf("asking go for %s: %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// staticBusybox returns the path of a busybox that needs no library.
func staticBusybox() (string, error) {
	if file, err := exec.LookPath("busybox"); err == nil && !dynamic(file) {
		return file, nil
	}
	dir, err := debianPackages("busybox", "busybox-static")
	if err != nil {
		return "", err
	}
	for _, name := range []string{"bin/busybox", "usr/bin/busybox"} { // up to Debian 12, and from 13 on
		if file := filepath.Join(dir, name); exists(file) {
			return file, nil
		}
	}
	return "", fmt.Errorf("no busybox in Debian's package busybox-static, see %s", dir)
}

// findAuthorities returns the path of this machine's certificate authorities.
func findAuthorities() (string, error) {
	for _, file := range []string{
		os.Getenv("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/cert.pem",
	} {
		if file != "" && exists(file) {
			return file, nil
		}
	}
	return "", errors.New("this machine has no certificate authorities: install ca-certificates")
}

// modules copies the modules that go.sum names out of the module cache, as a proxy has them.
func (r *rootfs) modules(path string) error {
	module, err := moduleFolder()
	if err != nil {
		return err
	}
	if _, err := run(module, []string{"GOWORK=off"}, "go", "mod", "download"); err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(module, "go.sum"))
	if err != nil {
		return err
	}
	cache, err := goEnv("GOMODCACHE")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(sums)) {
		fields := strings.Fields(line)
		version, _, _ := strings.Cut(fields[1], "/")
		for _, kind := range []string{".info", ".mod", ".zip"} {
			name := escapedModule(fields[0]) + "/@v/" + escapedModule(version) + kind
			file := filepath.Join(cache, "cache", "download", name)
			if exists(file) { // go.sum also names what only other systems, tests or versions need
				r.file(path+"/"+name, file)
			}
		}
	}
	return nil
}

var capital = regexp.MustCompile(`[A-Z]`)

// escapedModule is a module's path or version as proxies and caches have it.
func escapedModule(name string) string {
	return capital.ReplaceAllStringFunc(name, func(letter string) string { return "!" + strings.ToLower(letter) })
}
