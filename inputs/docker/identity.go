package docker

import (
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"

	"github.com/longshore/longshore/inputs/docker/logformat"
	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/event"
)

const (
	labelProject = "com.docker.compose.project"
	labelService = "com.docker.compose.service"
	labelSwarm   = "com.docker.swarm.service.name"
	labelEnable  = "longshore.enable"
	labelOwn     = "longshore.service"
)

// An identity is what a container is called, and by what it is chosen. It is
// not changed once made.
type identity struct {
	id, name, image string
	host            string // the engine's
	labels          map[string]string
}

func newIdentity(c container.InspectResponse, host string) *identity {
	ident := &identity{host: host}
	if c.ContainerJSONBase != nil {
		ident.id, ident.name = c.ID, strings.TrimPrefix(c.Name, "/")
	}
	if c.Config != nil {
		ident.image, ident.labels = c.Config.Image, c.Config.Labels
	}
	return ident
}

// identityOf is what an event tells of its container.
func identityOf(m events.Message, host string) *identity {
	tags := m.Actor.Attributes
	return &identity{id: m.Actor.ID, name: tags["name"], image: tags["image"], host: host, labels: tags}
}

func (w *identity) project() string { return w.labels[labelProject] }
func (w *identity) service() string { return w.labels[labelService] }

// labels gives the labels of one of the container's streams.
func (w *identity) sourceLabels(s logformat.Stream) []event.Label {
	labels := []event.Label{
		{Name: event.LabelContainerID, Value: w.id},
		{Name: event.LabelContainerName, Value: w.name},
		{Name: event.LabelImage, Value: w.image},
		{Name: event.LabelComposeProject, Value: w.project()},
		{Name: event.LabelComposeService, Value: w.service()},
		{Name: event.LabelStream, Value: s.String()},
		{Name: event.LabelHost, Value: w.host},
		{Name: event.LabelService, Value: w.serviceName()},
	}
	for _, name := range pipeline.SourceOptions {
		if value := w.labels[name]; value != "" {
			labels = append(labels, event.Label{Name: name, Value: value})
		}
	}
	return labels
}

// serviceName is the service that the container's label names, or else the best guess:
// that of Compose or Swarm, or the container's name, without the number of the replica
// if Compose gave it.
func (w *identity) serviceName() string {
	if s := w.labels[labelOwn]; s != "" {
		return s
	}
	if s := w.service(); s != "" {
		return s
	}
	if s := w.labels[labelSwarm]; s != "" {
		return s
	}
	if w.project() == "" {
		return w.name
	}
	return withoutReplica(w.name)
}

func withoutReplica(name string) string {
	cut := strings.LastIndexAny(name, "-_")
	if cut <= 0 || cut == len(name)-1 || strings.Trim(name[cut+1:], "0123456789") != "" {
		return name
	}
	return name[:cut]
}
