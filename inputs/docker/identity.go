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

// An identity is a container's names and labels. It is immutable.
type identity struct {
	id, name, image string
	host            string // of the engine
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

// identityOf returns what an event says of its container.
func identityOf(m events.Message, host string) *identity {
	tags := m.Actor.Attributes
	return &identity{id: m.Actor.ID, name: tags["name"], image: tags["image"], host: host, labels: tags}
}

func (i *identity) project() string { return i.labels[labelProject] }
func (i *identity) service() string { return i.labels[labelService] }

// sourceLabels returns the labels of a stream's source.
func (i *identity) sourceLabels(s logformat.Stream) []event.Label {
	labels := []event.Label{
		{Name: event.LabelContainerID, Value: i.id},
		{Name: event.LabelContainerName, Value: i.name},
		{Name: event.LabelImage, Value: i.image},
		{Name: event.LabelComposeProject, Value: i.project()},
		{Name: event.LabelComposeService, Value: i.service()},
		{Name: event.LabelStream, Value: s.String()},
		{Name: event.LabelHost, Value: i.host},
		{Name: event.LabelService, Value: i.serviceName()},
	}
	for _, name := range pipeline.SourceOptions {
		if value := i.labels[name]; value != "" {
			labels = append(labels, event.Label{Name: name, Value: value})
		}
	}
	return labels
}

// serviceName returns the service by the container's own label, Compose or Swarm, or else the
// container's name, without the replica's number if Compose gave it.
func (i *identity) serviceName() string {
	if s := i.labels[labelOwn]; s != "" {
		return s
	}
	if s := i.service(); s != "" {
		return s
	}
	if s := i.labels[labelSwarm]; s != "" {
		return s
	}
	if i.project() == "" {
		return i.name
	}
	return withoutReplica(i.name)
}

func withoutReplica(name string) string {
	cut := strings.LastIndexAny(name, "-_")
	if cut <= 0 || cut == len(name)-1 || strings.Trim(name[cut+1:], "0123456789") != "" {
		return name
	}
	return name[:cut]
}
