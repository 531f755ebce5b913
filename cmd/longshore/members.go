package main

import (
	"bytes"
	"encoding/json"
)

// A member is one name and value of a record, the value as text: a string without
// its quotes, anything else as its JSON.
type member struct{ name, value string }

// membersOf gives the members of a JSON object in their order.
func membersOf(record []byte) []member {
	d := json.NewDecoder(bytes.NewReader(record))
	var all []member
	if _, err := d.Token(); err != nil {
		return nil
	}
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return all
		}
		all = append(all, member{name.(string), textOf(value)})
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
