package server

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// programs copies commands of this machine, with the libraries that they need. One that is not here
// is taken from its Debian package.
func (r *rootfs) programs(names ...string) error {
	for _, name := range names {
		file, prefix, err := findProgram(name)
		if err != nil {
			return err
		}
		if err := r.libraries(file, prefix); err != nil {
			return err
		}
		r.file("/bin/"+name, file)
	}
	return nil
}

// findProgram returns a command's file, and the folder of extracted packages that it is in, if it
// is in one.
func findProgram(name string) (file, prefix string, err error) {
	if file, err = exec.LookPath(name); err == nil {
		file, err = filepath.EvalSymlinks(file)
		return file, "", err
	}
	prefix, err = debianPackages("program-"+name, name)
	if err != nil {
		return "", "", err
	}
	return filepath.Join(prefix, "usr", "bin", name), prefix, nil
}

// java copies a Java runtime out of a development kit.
func (r *rootfs) java(path, home string) error {
	var binaries []string
	skip := func(file string) bool {
		name, _ := filepath.Rel(home, file)
		if unneeded(name) {
			return true
		}
		if name == "bin/java" || strings.HasSuffix(name, ".so") {
			binaries = append(binaries, file)
		}
		return false
	}
	if err := r.tree(path, home, skip); err != nil {
		return fmt.Errorf("listing the files of %s: %w", home, err)
	}
	for _, file := range binaries {
		if err := r.libraries(file, home); err != nil {
			return err
		}
	}
	return nil
}

// unneeded knows what of a development kit a server does not use: half of its size, and what needs
// a window system.
func unneeded(name string) bool {
	folder, rest, _ := strings.Cut(name, "/")
	switch folder {
	case "bin":
		return rest != "" && rest != "java"
	case "conf", "lib", "release":
	default:
		return true
	}
	windows := []string{
		"awt", "jawt", "splashscreen", "fontmanager", "freetype", "jsound", "lcms", "javajpeg", "mlib_image",
	}
	base := strings.TrimPrefix(filepath.Base(name), "lib")
	return strings.HasPrefix(base, "src.zip") || base == "ct.sym" ||
		slices.ContainsFunc(windows, func(w string) bool { return strings.HasPrefix(base, w) })
}

// libraries copies the shared libraries that a binary needs, but for those in prefix, which come
// another way or, from an extracted package, to the place that they are packaged for.
func (r *rootfs) libraries(binary, prefix string) error {
	if !dynamic(binary) {
		return nil
	}
	cmd := exec.Command("ldd", binary)
	if prefix != "" {
		cmd.Env = append(os.Environ(), debianEnv(prefix)...)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("asking ldd what %s needs: %w\n%s", binary, err, out)
	}
	for line := range strings.Lines(string(out)) {
		file := lddPath(line)
		if file == "" {
			continue
		}
		packaged, inPrefix := strings.CutPrefix(file, prefix+"/usr/")
		switch {
		case prefix != "" && inPrefix:
			r.file("/usr/"+packaged, file)
		case prefix != "" && strings.HasPrefix(file, prefix+"/"):
		default:
			r.file(file, file)
		}
	}
	return nil
}

// dynamic tells whether a file is a program that loads libraries.
func dynamic(file string) bool {
	f, err := elf.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	return err == nil && len(libraries) > 0
}

// lddPath is the file of a line like "libz.so.1 => /lib/libz.so.1 (0x7f…)" or
// "/lib64/ld-linux-x86-64.so.2 (0x7f…)".
func lddPath(line string) string {
	if _, after, found := strings.Cut(line, "=> "); found {
		line = after
	}
	path, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	if !filepath.IsAbs(path) {
		return ""
	}
	return path
}
