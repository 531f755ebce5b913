package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/rpm"
)

// packages writes a deb and an rpm.
func (r *release) packages(arch string, installed []file) error {
	for extension, packager := range map[string]nfpm.Packager{".deb": deb.Default, ".rpm": rpm.DefaultRPM} {
		if err := r.pack(arch, extension, packager, installed); err != nil {
			return fmt.Errorf("making the %s of %s: %w", extension[1:], arch, err)
		}
	}
	return nil
}

func (r *release) pack(arch, extension string, packager nfpm.Packager, installed []file) (err error) {
	script := func(name string) string { return filepath.Join(r.source, "packaging", "scripts", name) }
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "longshore", Arch: arch, Platform: "linux", Version: r.version, Release: "1",
		Section: "admin", Priority: "optional", Maintainer: "The Longshore authors <longshore@localhost>",
		Description: "Log agent\n" +
			"Ships the logs of containers and files to Loki, Elasticsearch, OpenSearch or VictoriaLogs.",
		License: "Apache-2.0", MTime: r.time,
		Overridables: nfpm.Overridables{
			Contents: contents(installed),
			Scripts: nfpm.Scripts{
				PostInstall: script("after-install.sh"), PreRemove: script("before-remove.sh"),
				PostRemove: script("after-remove.sh"),
			},
			RPM: nfpm.RPM{BuildHost: "longshore", Summary: "Log agent", Group: "System Environment/Daemons"},
		},
	})
	if err := nfpm.PrepareForPackager(info, extension[1:]); err != nil {
		return err
	}
	out, err := r.create(r.name(arch, extension))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return packager.Package(info, out)
}

func contents(installed []file) files.Contents {
	all := files.Contents{{
		Destination: "/etc/longshore", Type: files.TypeDir, FileInfo: &files.ContentFileInfo{Mode: 0o750},
	}}
	for _, f := range installed {
		c := &files.Content{Source: f.from, Destination: f.to, FileInfo: &files.ContentFileInfo{Mode: f.mode}}
		if f.config {
			c.Type = files.TypeConfigNoReplace
		}
		all = append(all, c)
	}
	return all
}
