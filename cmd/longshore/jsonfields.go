package main

import (
	"bytes"
	"encoding/json"
)

// A jsonField is one field of a record. Its value is a string without quotes, or else JSON.
type jsonField struct{ name, value string }

// jsonFields returns the fields of a JSON object in their order.
func jsonFields(record []byte) []jsonField {
	d := json.NewDecoder(bytes.NewReader(record))
	var all []jsonField
	if _, err := d.Token(); err != nil {
		return nil
	}
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return all
		}
		all = append(all, jsonField{name.(string), textOf(value)})
	}
	return all
}

func textOf(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil && value[0] == '"' {
		return text
	}
	return string(value)
}
