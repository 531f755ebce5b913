package pipetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// Schema returns what holds a config, as YAML, against the JSON Schema of a table of components, as
// an editor does. It fails the test if the schema itself is not valid.
func Schema(t testing.TB, specs []pipeline.Spec) func(text string) error {
	t.Helper()
	text, err := config.Schema(specs)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("longshore.schema.json", parsed); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("longshore.schema.json")
	if err != nil {
		t.Fatalf("the schema is not valid: %v", err)
	}
	return func(text string) error {
		value, err := asJSON(text)
		if err != nil {
			return err
		}
		return compiled.Validate(value)
	}
}

// asJSON reads YAML as the values that JSON has.
func asJSON(text string) (any, error) {
	var value any
	if err := yaml.Unmarshal([]byte(strings.TrimPrefix(text, "\ufeff")), &value); err != nil {
		return nil, fmt.Errorf("reading the YAML: %w", err)
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("writing it as JSON: %w", err)
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
}
