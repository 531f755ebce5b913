package page

import (
	"io/fs"
	"regexp"
	"testing"
)

// TestFilesKeepToThePolicy: nothing comes from elsewhere, nothing stands inline, and no text
// becomes HTML; a browser would refuse it, and the page would be broken.
func TestFilesKeepToThePolicy(t *testing.T) {
	never := map[string]*regexp.Regexp{
		"another origin": regexp.MustCompile(`(?i)(?:src|href|url\(|import|fetch\()[\s="'(]*(?:https?:)?//`),
		"inline code": regexp.MustCompile(`(?i)<script(?:\s+(?:type|defer|async)[^>\s]*)*\s*>|\son\w+=|javascript:|` +
			`style="|<style`),
		"text as HTML": regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|DOMParser|` +
			`\beval\(|new Function`),
	}
	names, err := fs.Glob(files, "*")
	if err != nil || len(names) < 4 {
		t.Fatalf("only %d files (%v)", len(names), err)
	}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) == 0 {
			t.Errorf("%s is empty", name)
		}
		for what, pattern := range never {
			if found := pattern.Find(text); found != nil {
				t.Errorf("%s has %s: %s", name, what, found)
			}
		}
	}
}
