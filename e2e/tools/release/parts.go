package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// partsOf returns the modules that a binary was built from, as it says itself.
func partsOf(binary string) (*debug.BuildInfo, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("asking %s for its modules: %w", binary, err)
	}
	for i, part := range info.Deps {
		if part.Replace != nil {
			info.Deps[i] = part.Replace
		}
	}
	return info, nil
}

// billOfMaterials writes what the binary is made of, as CycloneDX.
func (r *release) billOfMaterials(arch string, parts *debug.BuildInfo) (err error) {
	out, err := r.create(r.name(arch, ".cdx.json"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	bom := cdx.NewBOM()
	main := cdx.Component{
		BOMRef: "longshore", Type: cdx.ComponentTypeApplication, Name: "longshore", Version: r.version,
		PackageURL: packageURL(parts.Main.Path, "v"+r.version) + "?goos=linux&goarch=" + arch,
		Licenses:   &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
	}
	bom.Metadata = &cdx.Metadata{Timestamp: r.time.Format(time.RFC3339), Component: &main}
	goVersion := strings.TrimPrefix(parts.GoVersion, "go")
	components := []cdx.Component{{
		BOMRef: "pkg:golang/std@" + goVersion, Type: cdx.ComponentTypeLibrary, Name: "std", Version: goVersion,
		PackageURL: "pkg:golang/std@" + goVersion,
	}}
	for _, part := range parts.Deps {
		component, err := componentOf(part)
		if err != nil {
			return err
		}
		components = append(components, component)
	}
	refs := make([]string, len(components))
	for i, c := range components {
		refs[i] = c.BOMRef
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
	return cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom)
}

// componentOf describes a module, with the hash that Go checks it by.
func componentOf(part *debug.Module) (cdx.Component, error) {
	url := packageURL(part.Path, part.Version)
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(part.Sum, "h1:"))
	if err != nil || len(sum) == 0 {
		return cdx.Component{}, fmt.Errorf("the module %s has no checksum: %q", part.Path, part.Sum)
	}
	return cdx.Component{
		BOMRef: url, Type: cdx.ComponentTypeLibrary, Name: part.Path, Version: part.Version, PackageURL: url,
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}},
	}, nil
}

func packageURL(path, version string) string {
	return "pkg:golang/" + strings.ToLower(path) + "@" + strings.ReplaceAll(version, "+", "%2B")
}

var licenceName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|copyright)([.-].*)?$`)

// licences writes the licences and notices of all modules, and of Go, into one file.
func (r *release) licences(parts *debug.BuildInfo, to string) error {
	var all bytes.Buffer
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("asking go for its folder: %w", err)
	}
	if err := addLicences(&all, "The Go standard library", strings.TrimSpace(string(goroot))); err != nil {
		return err
	}
	folders, err := r.moduleFolders(parts.Deps)
	if err != nil {
		return err
	}
	for _, part := range parts.Deps {
		if err := addLicences(&all, part.Path+" "+part.Version, folders[part.Path]); err != nil {
			return err
		}
	}
	return os.WriteFile(to, all.Bytes(), 0o644)
}

func (r *release) moduleFolders(parts []*debug.Module) (map[string]string, error) {
	args := []string{"mod", "download", "-json"}
	for _, part := range parts {
		args = append(args, part.Path+"@"+part.Version)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = r.source
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("asking go for the folders of modules: %w", err)
	}
	folders := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var m struct{ Path, Dir string }
		if err := d.Decode(&m); err != nil {
			return nil, fmt.Errorf("reading the folders of modules: %w", err)
		}
		folders[m.Path] = m.Dir
	}
	return folders, nil
}

func addLicences(all *bytes.Buffer, title, folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("looking for the licence of %s: %w", title, err)
	}
	names := []string{}
	for _, e := range entries {
		if !e.IsDir() && licenceName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("%s has no licence in %s", title, folder)
	}
	slices.Sort(names)
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(all, "==== %s: %s\n\n%s\n\n", title, name, bytes.TrimSpace(text))
	}
	return nil
}
