package kubernetesevents

import (
	"cmp"
	"time"
)

// An apiEvent is what is read of an Event of the API's core group.
type apiEvent struct {
	Metadata struct {
		ResourceVersion   string    `json:"resourceVersion"`
		CreationTimestamp time.Time `json:"creationTimestamp"`
	} `json:"metadata"`
	InvolvedObject struct {
		Kind      string `json:"kind"`
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
		FieldPath string `json:"fieldPath"`
	} `json:"involvedObject"`
	Type    string `json:"type"` // Normal or Warning
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Count   int    `json:"count"`
	Source  struct {
		Component string `json:"component"`
		Host      string `json:"host"`
	} `json:"source"`
	ReportingComponent string    `json:"reportingComponent"`
	LastTimestamp      time.Time `json:"lastTimestamp"`
	EventTime          time.Time `json:"eventTime"`
	Series             struct {
		Count            int       `json:"count"`
		LastObservedTime time.Time `json:"lastObservedTime"`
	} `json:"series"`
}

// time returns when it occurred last.
func (e *apiEvent) time() time.Time {
	for _, t := range []time.Time{e.Series.LastObservedTime, e.LastTimestamp, e.EventTime} {
		if !t.IsZero() {
			return t
		}
	}
	return e.Metadata.CreationTimestamp
}

// A line is an event as a line of JSON.
type line struct {
	Time      time.Time `json:"time,omitzero"`
	Level     string    `json:"level"`
	Message   string    `json:"message"`
	Reason    string    `json:"reason,omitempty"`
	Count     int       `json:"count,omitempty"`
	Kind      string    `json:"object_kind,omitempty"`
	Namespace string    `json:"object_namespace,omitempty"`
	Name      string    `json:"object_name,omitempty"`
	Field     string    `json:"object_field,omitempty"`
	Component string    `json:"component,omitempty"`
	Node      string    `json:"node,omitempty"`
}

func (e *apiEvent) line(at time.Time) line {
	level := "info"
	if e.Type == "Warning" {
		level = "warn"
	}
	return line{
		Time: at, Level: level, Message: e.Message, Reason: e.Reason, Count: cmp.Or(e.Series.Count, e.Count),
		Kind: e.InvolvedObject.Kind, Namespace: e.InvolvedObject.Namespace, Name: e.InvolvedObject.Name,
		Field: e.InvolvedObject.FieldPath, Component: cmp.Or(e.Source.Component, e.ReportingComponent),
		Node: e.Source.Host,
	}
}
