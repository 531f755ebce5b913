package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A file is one that is installed.
type file struct {
	from, to string
	mode     os.FileMode
	config   bool // keeps what its owner changes
}

// files lists what is installed.
func (r *release) files(binary, licences string) []file {
	const docs, systemd = "/usr/share/doc/longshore/", "/usr/lib/systemd/system/longshore.service"
	packaged := func(name string) string { return filepath.Join(r.source, "packaging", "files", name) }
	files := []file{
		{from: binary, to: "/usr/bin/longshore", mode: 0o755},
		{from: packaged("longshore.yml"), to: "/etc/longshore/longshore.yml", mode: 0o640, config: true},
		{from: packaged("longshore.service"), to: systemd, mode: 0o644},
		{from: packaged("sysusers.conf"), to: "/usr/lib/sysusers.d/longshore.conf", mode: 0o644},
		{from: packaged("tmpfiles.conf"), to: "/usr/lib/tmpfiles.d/longshore.conf", mode: 0o644},
		{from: filepath.Join(r.source, "LICENSE"), to: docs + "copyright", mode: 0o644},
		{from: licences, to: docs + "LICENCES-OF-PARTS", mode: 0o644},
	}
	for _, name := range []string{"README.md", "CHANGELOG.md", "docs/install.md", "docs/guarantees.md"} {
		files = append(files, file{from: filepath.Join(r.source, name), to: docs + filepath.Base(name), mode: 0o644})
	}
	return files
}

// archive writes the files into a .tar.gz, in one folder.
func (r *release) archive(arch string, files []file) (err error) {
	name := r.name(arch, ".tar.gz")
	out, err := r.create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	packed, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	tarred := tar.NewWriter(packed)
	folder := strings.TrimSuffix(name, ".tar.gz") + "/"
	for _, f := range files {
		if err := r.add(tarred, folder+inArchive(f.to), f); err != nil {
			return fmt.Errorf("writing %s into %s: %w", f.from, name, err)
		}
	}
	return errors.Join(tarred.Close(), packed.Close())
}

// inArchive returns where a file is found by who unpacks the archive.
func inArchive(installed string) string {
	name := filepath.Base(installed)
	switch folder := filepath.Base(filepath.Dir(installed)); folder {
	case "sysusers.d", "tmpfiles.d":
		return strings.TrimSuffix(folder, ".d") + ".conf"
	}
	if name == "copyright" {
		return "LICENSE"
	}
	return name
}

func (r *release) add(w *tar.Writer, name string, f file) error {
	in, err := os.Open(f.from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	err = w.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: int64(f.mode), ModTime: r.time,
		Format: tar.FormatPAX,
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}

// create makes a file of the release.
func (r *release) create(name string) (*os.File, error) {
	r.built = append(r.built, name)
	return os.OpenFile(filepath.Join(r.out, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
}

// checksums writes those of all files, as sha256sum -c reads them.
func (r *release) checksums() error {
	slices.Sort(r.built)
	var sums strings.Builder
	for _, name := range r.built {
		text, err := os.ReadFile(filepath.Join(r.out, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(text), name)
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(sums.String()), 0o644)
}
