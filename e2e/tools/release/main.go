// Command release builds what is released: for each architecture the binary in an archive, a deb
// and an rpm, a bill of materials, the licences of what it is made of, and the checksums of all.
// The same source makes the same bytes, in any folder, on any day.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A release is what is built, and from what.
type release struct {
	source  string // the repository
	out     string
	version string    // without v
	time    time.Time // of all files
	pgo     string
	built   []string // names of files in out
}

var architectures = []string{"amd64", "arm64"}

func main() {
	var r release
	flag.StringVar(&r.source, "source", "../../..", "the repository's folder")
	flag.StringVar(&r.out, "out", "../../../dist", "folder for what is built; it is emptied")
	version := flag.String("version", "", "version, such as v1.2.3 (default: by git describe)")
	flag.StringVar(&r.pgo, "pgo", "auto", "as go build -pgo; off is quicker, and for trials")
	flag.Parse()
	if err := r.run(*version); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func (r *release) run(version string) error {
	if err := r.prepare(version); err != nil {
		return err
	}
	for _, arch := range architectures {
		if err := r.build(arch); err != nil {
			return err
		}
	}
	return r.checksums()
}

// prepare makes the paths absolute, empties the folder, and finds out version and time.
func (r *release) prepare(version string) (err error) {
	if r.source, err = filepath.Abs(r.source); err != nil {
		return err
	}
	if r.out, err = filepath.Abs(r.out); err != nil {
		return err
	}
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	if version == "" {
		if version, err = r.git("describe", "--tags", "--always", "--dirty"); err != nil {
			return err
		}
	}
	r.version = packageVersion(version)
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		if epoch, err = r.git("log", "-1", "--format=%ct"); err != nil {
			return err
		}
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH is no time in seconds: %w", err)
	}
	r.time = time.Unix(seconds, 0).UTC()
	return nil
}

// packageVersion makes a version of what git describes, which deb and rpm order as it came about.
func packageVersion(described string) string {
	v := strings.TrimPrefix(described, "v")
	if v == "" || v[0] < '0' || v[0] > '9' || !strings.Contains(v, ".") {
		return "0.0.0~" + strings.ReplaceAll(v, "-", ".") // nothing is tagged yet
	}
	return v
}

func (r *release) git(args ...string) (string, error) {
	out, err := exec.Command("git", append([]string{"-C", r.source}, args...)...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}

// build makes all of one architecture.
func (r *release) build(arch string) error {
	work, err := os.MkdirTemp("", "longshore-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	binary := filepath.Join(work, "longshore")
	if err := r.compile(arch, binary); err != nil {
		return err
	}
	parts, err := partsOf(binary)
	if err != nil {
		return err
	}
	if err := r.billOfMaterials(arch, parts); err != nil {
		return err
	}
	licences := filepath.Join(work, "LICENCES-OF-PARTS")
	if err := r.licences(parts, licences); err != nil {
		return err
	}
	files := r.files(binary, licences)
	if err := r.archive(arch, files); err != nil {
		return err
	}
	return r.packages(arch, files)
}

// compile builds one static binary. Nothing of this machine is in it but the version of Go.
func (r *release) compile(arch, to string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-pgo="+r.pgo,
		"-ldflags", "-s -w -buildid= -X main.version="+r.version, "-o", to, "./cmd/longshore")
	cmd.Dir = r.source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=-mod=readonly", "GOWORK=off", "GOEXPERIMENT=")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building longshore for %s: %w", arch, err)
	}
	return nil
}

// name returns the name of a file of an architecture.
func (r *release) name(arch, extension string) string {
	return fmt.Sprintf("longshore_%s_linux_%s%s", r.version, arch, extension)
}
