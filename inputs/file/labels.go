package file

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/longshore/longshore/pipeline/event"
)

// hostName returns the host's name, "" if it has none: then there is no label.
func hostName() string {
	name, _ := os.Hostname()
	return name
}

// labelsOf returns the labels of a file.
func labelsOf(host, path string) []event.Label {
	return []event.Label{
		{Name: event.LabelHost, Value: host},
		{Name: event.LabelFile, Value: path},
		{Name: event.LabelService, Value: serviceOf(path)},
	}
}

// serviceOf guesses whose log a file is: app.log → app, app-2024-05-01.log.gz → app. Where the name
// only says what kind of log it is, the folder tells: /var/log/nginx/access.log → nginx.
func serviceOf(path string) string {
	name := stem(filepath.Base(path))
	for dir := filepath.Dir(path); isGeneric(name); dir = filepath.Dir(dir) {
		parent := filepath.Base(dir)
		if parent == "/" || parent == "." || parent == "var" {
			return stem(filepath.Base(path))
		}
		name = parent
	}
	return name
}

// stem removes endings, numbers and dates from a file name.
func stem(name string) string {
	for {
		short := trimDate(trimEnding(name))
		if short == name || short == "" {
			return name
		}
		name = short
	}
}

func trimEnding(name string) string {
	i := strings.LastIndexByte(name, '.')
	if i <= 0 {
		return name
	}
	switch strings.ToLower(name[i+1:]) {
	case "log", "logs", "txt", "json", "jsonl", "ndjson", "out", "err", "old", "bak", "gz", "zst", "bz2", "xz":
		return name[:i]
	}
	return name
}

// trimDate removes a number or date behind a separator.
func trimDate(name string) string {
	short := strings.TrimRight(name, "0123456789-_.:T")
	if len(short) == len(name) || !strings.ContainsRune("-_.", rune(name[len(short)])) {
		return name
	}
	return short
}

func isGeneric(name string) bool {
	switch strings.ToLower(name) {
	case "access", "error", "errors", "access_log", "error_log", "output", "current", "log", "logs",
		"stdout", "stderr", "out", "err", "console", "debug", "info", "warn", "warning":
		return true
	}
	return false
}
