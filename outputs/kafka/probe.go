package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

var (
	_ pipeline.Prober   = (*Output)(nil)
	_ pipeline.Examiner = (*Output)(nil)
)

// Probe implements pipeline.Prober. A broker does not say its version; what it understands does,
// more or less.
func (o *Output) Probe(ctx context.Context) (server string, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	answer, err := o.client.Request(ctx, kmsg.NewPtrApiVersionsRequest())
	if err != nil {
		return "", sendError(o.Location(), err, false)
	}
	versions := kversion.FromApiVersionsResponse(answer.(*kmsg.ApiVersionsResponse))
	return "Kafka " + httpclient.Clean(versions.VersionGuess()), nil
}

// stepTimeout bounds one step of an examination.
const stepTimeout = 10 * time.Second

// Examine implements pipeline.Examiner. It writes nothing.
func (o *Output) Examine(ctx context.Context, tell func(pipeline.Finding)) {
	reached := false
	for _, address := range o.brokers {
		reached = o.examineBroker(ctx, address, tell) || reached
	}
	if !reached {
		return
	}
	name, err := o.probeWithin(ctx)
	if err != nil {
		tell(pipeline.Finding{What: "login", State: pipeline.FoundBroken, Says: err.Error(),
			Advice: "compare sasl and tls with the broker's listener on that port"})
		return
	}
	tell(pipeline.Finding{What: "login", Says: name + " answers"})
	o.examineTopic(ctx, tell)
}

func (o *Output) probeWithin(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if _, err := o.client.Request(ctx, kmsg.NewPtrMetadataRequest()); err != nil { // it logs in
		return "", sendError(o.Location(), err, false)
	}
	return o.Probe(ctx)
}

// examineBroker goes the way to a broker: its name, its port, its certificate.
func (o *Output) examineBroker(ctx context.Context, address string, tell func(pipeline.Finding)) (ok bool) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	host, _, _ := net.SplitHostPort(address) // Check has looked at it
	if net.ParseIP(host) == nil {
		if _, err := net.DefaultResolver.LookupHost(ctx, host); err != nil {
			tell(pipeline.Finding{What: "DNS", State: pipeline.FoundBroken, Says: err.Error(),
				Advice: "compare the name in brokers with what this machine can look up: getent hosts " + host})
			return false
		}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		tell(pipeline.Finding{What: "TCP", State: pipeline.FoundBroken, Says: httpclient.RequestError(err).Reason,
			Advice: "see that a broker listens there, and that no firewall is between"})
		return false
	}
	_ = conn.Close()
	tell(pipeline.Finding{What: "TCP", Says: address + " takes connections"})
	if !o.tls.on() {
		return true
	}
	return o.examineTLS(ctx, address, tell)
}

func (o *Output) examineTLS(ctx context.Context, address string, tell func(pipeline.Finding)) bool {
	conn, err := o.config.dialer()(ctx, "tcp", address)
	if err != nil {
		tell(pipeline.Finding{What: "TLS", State: pipeline.FoundBroken, Says: httpclient.RequestError(err).Reason,
			Advice: "compare tls with the certificate and the protocol of the broker's listener on that port"})
		return false
	}
	defer conn.Close()
	state := conn.(*tls.Conn).ConnectionState()
	if len(state.PeerCertificates) > 0 {
		tell(httpclient.Certificates(state))
	}
	return true
}

// examineTopic looks whether the topic is there and may be written to. Which topics a template
// makes is known only with records.
func (o *Output) examineTopic(ctx context.Context, tell func(pipeline.Finding)) {
	if len(o.topic.parts) > 1 || o.topic.parts[0].Field != "" {
		tell(pipeline.Finding{What: "topic", State: pipeline.FoundUnknown,
			Says: "depends on the records; each must exist, or be made by create_topics"})
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	name := o.topic.parts[0].Text
	req := kmsg.NewPtrMetadataRequest()
	asked := kmsg.NewMetadataRequestTopic()
	asked.Topic = &name
	req.Topics = append(req.Topics, asked)
	req.IncludeTopicAuthorizedOperations = true
	answer, err := o.client.Request(ctx, req)
	if err == nil && len(answer.(*kmsg.MetadataResponse).Topics) == 1 {
		tell(o.topicFinding(name, &answer.(*kmsg.MetadataResponse).Topics[0]))
		return
	}
	tell(pipeline.Finding{What: "topic", State: pipeline.FoundUnknown,
		Says: fmt.Sprintf("it does not answer: %v", err)})
}

func (o *Output) topicFinding(name string, t *kmsg.MetadataResponseTopic) pipeline.Finding {
	f := pipeline.Finding{What: "topic"}
	err := kerr.ErrorForCode(t.ErrorCode)
	const write = 4 // of AclOperation
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition) && o.topics.create:
		f.Says = name + " is not there; brokers are asked to make it"
	case err != nil:
		f.State, f.Says = pipeline.FoundBroken, name+": "+err.Error()+advice(err)
	case t.AuthorizedOperations >= 0 && t.AuthorizedOperations&(1<<write) == 0:
		f.State, f.Says = pipeline.FoundBroken, name+" may not be written to"
		f.Advice = "give this user the right to Write there"
	default:
		f.Says = fmt.Sprintf("%s has %d partitions", name, len(t.Partitions))
	}
	return f
}
