package config

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/longshore/longshore/pipeline"
)

// Islands divides a config into parts that have nothing to do with each other: each has the inputs,
// pipelines and outputs that are connected, and all that bears on them. A reload leaves those alone
// that are the same before and after.
//
// An input whose sources may choose their pipelines is connected with all of them, and so is one
// that observes them. The redact
// transforms are part of every island, since they apply to what destinations say, too.
func (cfg *Config) Islands() []*Config {
	var islands []*Config
	for _, group := range cfg.connected() {
		islands = append(islands, cfg.island(group))
	}
	return islands
}

// connected groups the pipelines that share an input or an output, in the order of the config.
func (cfg *Config) connected() [][]Pipeline {
	var groups [][]Pipeline
	for _, p := range cfg.Pipelines {
		merged := []Pipeline{p}
		rest := groups[:0:0]
		for _, group := range groups {
			if slices.ContainsFunc(group, func(other Pipeline) bool { return cfg.connects(p, other) }) {
				merged = append(slices.Clone(group), merged...)
			} else {
				rest = append(rest, group)
			}
		}
		groups = append(rest, merged)
	}
	return groups
}

func (cfg *Config) connects(a, b Pipeline) bool {
	share := func(a, b []string) bool {
		return slices.ContainsFunc(a, func(name string) bool { return slices.Contains(b, name) })
	}
	return share(a.Inputs, b.Inputs) || share(a.Outputs, b.Outputs) || cfg.hasSourceOptions() ||
		slices.ContainsFunc(cfg.Inputs, func(in Input) bool { return in.Traits.Observes })
}

func (cfg *Config) hasSourceOptions() bool {
	return slices.ContainsFunc(cfg.Inputs, func(in Input) bool { return in.Traits.SourceOptions })
}

// island returns the config of some pipelines.
func (cfg *Config) island(pipelines []Pipeline) *Config {
	part := *cfg
	part.Pipelines = inOrderOf(cfg.Pipelines, func(p Pipeline) bool {
		return slices.ContainsFunc(pipelines, func(of Pipeline) bool { return of.Name == p.Name })
	})
	names := func(of func(Pipeline) []string) map[string]bool {
		all := map[string]bool{}
		for _, p := range pipelines {
			for _, name := range of(p) {
				all[name] = true
			}
		}
		return all
	}
	inputs := names(func(p Pipeline) []string { return p.Inputs })
	part.Inputs = inOrderOf(cfg.Inputs, func(c Input) bool { return inputs[c.Name] || c.Traits.SourceOptions })
	outputs := names(func(p Pipeline) []string { return p.Outputs })
	part.Outputs = inOrderOf(cfg.Outputs, func(c Output) bool { return outputs[c.Name] })
	parsers := names(func(p Pipeline) []string { return p.Parsers })
	part.Parsers = inOrderOf(cfg.Parsers, func(c Parser) bool { return parsers[c.Name] || part.hasSourceOptions() })
	transforms := names(func(p Pipeline) []string { return p.Transforms })
	part.Transforms = inOrderOf(cfg.Transforms, func(c Transform) bool {
		return transforms[c.Name] || c.Type == redactType
	})
	return &part
}

func inOrderOf[C any](all []C, which func(C) bool) []C {
	return slices.DeleteFunc(slices.Clone(all), func(c C) bool { return !which(c) })
}

// SameIsland reports whether two islands do the same, so that the one that runs may go on: they
// have the same components with the same settings, and the files that these name had the same
// contents when the configs were read.
func SameIsland(a, b *Config) bool {
	return a.DataDir == b.DataDir && reflect.DeepEqual(a.Pipelines, b.Pipelines) &&
		slices.EqualFunc(a.Inputs, b.Inputs, func(x, y Input) bool {
			return x.Name == y.Name && x.Type == y.Type && reflect.DeepEqual(x.Common, y.Common) &&
				sameSettings(x.Settings, y.Settings)
		}) &&
		slices.EqualFunc(a.Parsers, b.Parsers, func(x, y Parser) bool {
			return x.Name == y.Name && x.Type == y.Type && reflect.DeepEqual(x.Common, y.Common) &&
				sameSettings(x.Settings, y.Settings)
		}) &&
		slices.EqualFunc(a.Transforms, b.Transforms, func(x, y Transform) bool {
			return x.Name == y.Name && x.Type == y.Type && reflect.DeepEqual(x.Common, y.Common) &&
				sameSettings(x.Settings, y.Settings)
		}) &&
		slices.EqualFunc(a.Outputs, b.Outputs, func(x, y Output) bool {
			return x.Name == y.Name && x.Type == y.Type && reflect.DeepEqual(x.Common, y.Common) &&
				sameSettings(x.Settings, y.Settings)
		}) &&
		maps.Equal(a.digests(), b.digests())
}

// SameSettings reports whether two inputs are the same, but for what all inputs have in common.
func (c Input) SameSettings(other Input) bool {
	return c.Name == other.Name && c.Type == other.Type && sameSettings(c.Settings, other.Settings)
}

// sameSettings compares the settings of two components, and nothing that these keep beside them.
func sameSettings(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	if x.Type() != y.Type() {
		return false
	}
	x, y = x.Elem(), y.Elem()
	return !slices.ContainsFunc(settingsOf(x.Type()), func(s setting) bool {
		return !reflect.DeepEqual(x.FieldByIndex(s.index).Interface(), y.FieldByIndex(s.index).Interface())
	})
}

// Files returns the absolute paths of the files whose contents are part of the config: those of
// ${file:…}, and those that components read when they are made, such as certificates. The file of
// the config itself is not among them.
func (cfg *Config) Files() []string {
	return slices.Sorted(maps.Keys(cfg.files))
}

// FilesChanged reports whether the files that are a part of the config have other contents than
// when it was read, and returns a digest of what they have now. The error names one that cannot be
// read.
func (cfg *Config) FilesChanged() (changed bool, now string, err error) {
	all := sha256.New()
	for _, path := range cfg.Files() {
		content, readErr := pipeline.ReadFile(path, pipeline.MaxFile)
		if readErr != nil {
			err = cmp.Or(err, fmt.Errorf("a file that the config names cannot be read again: %w", readErr))
			continue
		}
		is := digestOf(content)
		changed = changed || is != cfg.files[path]
		all.Write([]byte(path))
		all.Write([]byte(is))
	}
	return changed, string(all.Sum(nil)), err
}

// digest is what is known of a file's content: "" where it could not be read.
type digest string

func digestOf(content []byte) digest {
	sum := sha256.Sum256(content)
	return digest(sum[:])
}

// digests returns those of the files that the config's components name. What ${file:…} brought in
// is in their settings.
func (cfg *Config) digests() map[string]digest {
	of := map[string]digest{}
	for _, path := range cfg.named() {
		of[path] = cfg.files[path]
	}
	return of
}

// named returns the absolute paths of the files that components name and read when they are made.
func (cfg *Config) named() (paths []string) {
	for _, c := range cfg.Inputs {
		paths = appendFiles(paths, reflect.ValueOf(c.Settings).Elem())
	}
	for _, c := range cfg.Parsers {
		paths = appendFiles(paths, reflect.ValueOf(c.Settings).Elem())
	}
	for _, c := range cfg.Transforms {
		paths = appendFiles(paths, reflect.ValueOf(c.Settings).Elem())
	}
	for _, c := range cfg.Outputs {
		paths = appendFiles(paths, reflect.ValueOf(c.Settings).Elem())
	}
	return paths
}

func appendFiles(paths []string, settings reflect.Value) []string {
	for _, s := range settingsOf(settings.Type()) {
		v := settings.FieldByIndex(s.index)
		switch {
		case v.Kind() == reflect.Struct:
			paths = appendFiles(paths, v)
		case s.isFile && v.Kind() == reflect.String && v.String() != "":
			if path, err := filepath.Abs(v.String()); err == nil {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// noteFiles takes note of what is in the files that components name.
func (cfg *Config) noteFiles() {
	for _, path := range cfg.named() {
		content, err := pipeline.ReadFile(path, pipeline.MaxFile)
		if err != nil {
			cfg.files[path] = ""
			continue
		}
		cfg.files[path] = digestOf(content)
	}
}
