package elasticsearch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/longshore/longshore/outputs/httpclient"
	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Examiner = (*Output)(nil)

// Examine implements pipeline.Examiner: it goes to each node. Whether we may write it asks.
func (o *Output) Examine(ctx context.Context, tell func(pipeline.Finding)) {
	nodes := o.wire.nodes.URLs()
	for i, node := range nodes {
		if ctx.Err() != nil {
			return
		}
		about := tell
		if len(nodes) > 1 {
			about = func(f pipeline.Finding) {
				f.What = fmt.Sprintf("node %d %s", i+1, f.What)
				tell(f)
			}
		}
		o.examineNode(ctx, node, about)
	}
}

func (o *Output) examineNode(ctx context.Context, node *url.URL, tell func(pipeline.Finding)) {
	req, err := o.requestTo(ctx, node, http.MethodGet, "/", nil)
	if err != nil {
		tell(pipeline.Finding{What: "urls", State: pipeline.FoundBroken, Says: err.Error()})
		return
	}
	resp, body, ok := o.wire.client.Examine(req, tell)
	if !ok {
		return
	}
	server := pipeline.Finding{What: "server", Says: serverName(body)}
	if resp.StatusCode != http.StatusOK || server.Says == "" {
		server.State, server.Says = pipeline.FoundUnknown, "it answers, and does not say what it is"
	}
	tell(server)
	o.examineWriting(ctx, node, tell)
}

// requestTo makes a request to one node, where others leave the choice to the transport.
func (o *Output) requestTo(
	ctx context.Context, node *url.URL, method, path string, body []byte,
) (*http.Request, error) {
	to := *node
	to.User = nil
	to.Path += path
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if node.User != nil {
		password, _ := node.User.Password()
		req.SetBasicAuth(node.User.Username(), password)
	}
	return req, nil
}

// privileges is the question whether we may write, and the answer.
type privileges struct {
	Index []indexPrivileges `json:"index"`
}

type indexPrivileges struct {
	Names      []string `json:"names"`
	Privileges []string `json:"privileges"`
}

// examineWriting asks for our privileges, by Elasticsearch's own API. OpenSearch and a server
// without security do not know the question.
func (o *Output) examineWriting(ctx context.Context, node *url.URL, tell func(pipeline.Finding)) {
	ctx, cancel := context.WithTimeout(ctx, o.wire.timeout())
	defer cancel()
	index := o.indexNames.template.pattern()
	unknown := pipeline.Finding{What: "writing", State: pipeline.FoundUnknown,
		Says: "it cannot be asked without a write; --write sends a test record"}
	question, err := json.Marshal(privileges{[]indexPrivileges{{[]string{index}, []string{"create_doc"}}}})
	if err != nil {
		tell(unknown)
		return
	}
	req, err := o.requestTo(ctx, node, http.MethodPost, "/_security/user/_has_privileges", question)
	if err != nil {
		tell(unknown)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := o.wire.client.RoundTrip(req)
	if err != nil {
		tell(pipeline.Finding{What: "writing", State: pipeline.FoundBroken, Says: httpclient.RequestError(err).Reason})
		return
	}
	body, err := httpclient.ReadBody(resp)
	var answer struct {
		All *bool `json:"has_all_requested"`
	}
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(body, &answer) != nil || answer.All == nil {
		tell(unknown)
		return
	}
	if *answer.All {
		tell(pipeline.Finding{What: "writing", Says: "allowed, to " + index})
		return
	}
	tell(pipeline.Finding{What: "writing", State: pipeline.FoundBroken,
		Says:   "who we are there may not write to " + index,
		Advice: "give its role the privileges create_doc and auto_configure on that index"})
}
