package server

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
)

// A tool is a server that is built from a folder of e2e/tools.
type tool struct {
	source  string // its folder
	version string
	folder  string // its name in the cache: with the version and a hash of the source, so that a change builds anew
}

// newTool reads the version out of a file of the tool's folder.
func newTool(name, file, pattern string) (tool, error) {
	module, err := moduleFolder()
	if err != nil {
		return tool{}, err
	}
	source := filepath.Join(module, "e2e", "tools", name)
	path := filepath.Join(source, file)
	text, err := os.ReadFile(path)
	if err != nil {
		return tool{}, fmt.Errorf("reading the version of %s: %w", name, err)
	}
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	if found == nil {
		return tool{}, fmt.Errorf("no version of %s in %s", name, path)
	}
	hash, err := fingerprint(source)
	if err != nil {
		return tool{}, fmt.Errorf("hashing %s: %w", source, err)
	}
	version := string(found[1])
	return tool{source: source, version: version, folder: name + "-" + version + "-" + hash}, nil
}

// moduleFolder asks Go where the main module is, because tests run in their package's folder, and
// those of other modules, such as the benchmarks', elsewhere altogether.
var moduleFolder = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/longshore/longshore").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for the folder of this module: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
})

// A goProgram is a package to build, and how.
type goProgram struct {
	pkg, tags, ldflags, gcflags string
	cgo                         bool
}

// buildGo builds a package of the tool's module as one static binary.
func (t tool) buildGo(pkg, ldflags, binary string) error {
	return t.buildProgram(goProgram{pkg: pkg, ldflags: ldflags}, binary)
}

// buildProgram builds a package of the tool's module into a file, or under its own name into a
// folder.
func (t tool) buildProgram(p goProgram, to string) error {
	env := []string{"CGO_ENABLED=0", "GOWORK=off"}
	if p.cgo {
		env[0] = "CGO_ENABLED=1"
	}
	_, err := run(t.source, env, "go", "build", "-trimpath",
		"-tags", p.tags, "-ldflags", "-s -w "+p.ldflags, "-gcflags", p.gcflags, "-o", to, p.pkg)
	return err
}

// buildMaven leaves the tool's jar and those that it needs in dir.
func (t tool) buildMaven(jdk, dir string) error {
	if _, err := exec.LookPath("mvn"); err != nil {
		return fmt.Errorf("mvn is needed: %w", err)
	}
	work, err := os.MkdirTemp("", "longshore-maven-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.CopyFS(work, os.DirFS(t.source)); err != nil {
		return fmt.Errorf("copying %s: %w", t.source, err)
	}
	if _, err := run(work, []string{"JAVA_HOME=" + jdk}, "mvn", "-q", "-B", "package"); err != nil {
		return err
	}
	jars, err := filepath.Glob(filepath.Join(work, "target", "*.jar"))
	if err != nil {
		return err
	}
	libraries, err := filepath.Glob(filepath.Join(work, "target", "lib", "*.jar"))
	if err != nil {
		return err
	}
	return copyInto(dir, append(jars, libraries...))
}

func copyInto(dir string, paths []string) error {
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// findJDK returns the home of the oldest Java development kit that is new enough: the oldest,
// because a server knows the Java versions of its day.
func findJDK(least int) (string, error) {
	best, bestVersion := "", 0
	for _, home := range jdkFolders() {
		version := jdkVersion(home)
		if version >= least && (best == "" || version < bestVersion) {
			best, bestVersion = home, version
		}
	}
	if best == "" {
		const looked = "JAVA_HOME, PATH, /usr/lib/jvm, /opt"
		return "", fmt.Errorf("no Java development kit %d or newer: looked at %s", least, looked)
	}
	return best, nil
}

func jdkFolders() []string {
	var homes []string
	for _, entry := range os.Environ() { // JAVA_HOME, and JAVA_HOME_21_X64 and the like on CI machines
		if name, home, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "JAVA_HOME") {
			homes = append(homes, home)
		}
	}
	if java, err := exec.LookPath("javac"); err == nil {
		if java, err = filepath.EvalSymlinks(java); err == nil {
			homes = append(homes, filepath.Dir(filepath.Dir(java)))
		}
	}
	patterns := []string{"/usr/lib/jvm/*", "/opt/*", "/opt/java/*", "/opt/hostedtoolcache/Java_*/*/*"}
	if runtime.GOOS == "darwin" {
		patterns = append(patterns, "/Library/Java/JavaVirtualMachines/*/Contents/Home")
	}
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern) // fails only for a bad pattern
		homes = append(homes, found...)
	}
	return homes
}

var javaVersion = regexp.MustCompile(`(?m)^JAVA_VERSION="(\d+)`)

// jdkVersion is 0 where there is no kit that can compile.
func jdkVersion(home string) int {
	if !exists(filepath.Join(home, "bin", "javac")) {
		return 0
	}
	text, err := os.ReadFile(filepath.Join(home, "release"))
	if err != nil {
		return 0
	}
	found := javaVersion.FindSubmatch(text)
	if found == nil {
		return 0
	}
	var version int
	fmt.Sscan(string(found[1]), &version)
	return version
}
