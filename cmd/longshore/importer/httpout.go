package importer

import "strings"

// What outputs over HTTP have in common: the settings of Prometheus' HTTP client, which Promtail
// and Alloy have.

// httpClient converts the authentication, TLS and proxy of a client.
func (c *conversion) httpClient(s *section, n *node) {
	for _, block := range []string{"basic_auth", "oauth2", "authorization", "tls_config"} {
		if b := n.get(block); b != nil {
			c.clientBlock(s, block, b)
		}
	}
	if token := n.get("bearer_token"); token != nil {
		s.fields.setIn("auth", "bearer_token", c.secret(token, s.name, "token"))
	}
	s.fields.setIn("auth", "bearer_token_file", c.str(n, "bearer_token_file"))
	s.fields.set("proxy", c.proxy(n.get("proxy_url"), s.name))
	c.skip(n.get("proxy_from_environment"), "Longshore takes the proxy from the environment by itself")
	c.headers(s, n.get("headers"))
	c.skip(n.get("follow_redirects"), "Longshore decides about redirects by itself")
	c.skip(n.get("enable_http2"), "HTTP/2 is used where the server has it")
}

func (c *conversion) clientBlock(s *section, name string, b *node) {
	switch name {
	case "basic_auth":
		s.fields.setIn("auth", "username", c.str(b, "username"))
		s.fields.setIn("auth", "password", c.secret(b.get("password"), s.name, "password"))
		if file := c.str(b, "password_file"); file != "" {
			s.fields.setIn("auth", "password", "${file:"+file+"}")
		}
	case "authorization":
		if kind := b.get("type"); kind != nil && !strings.EqualFold(kind.text, "bearer") {
			c.left(b, "only Bearer is converted; set the header under headers")
			return
		}
		c.done(b.get("type"))
		s.fields.setIn("auth", "bearer_token", c.secret(b.get("credentials"), s.name, "token"))
		s.fields.setIn("auth", "bearer_token_file", c.str(b, "credentials_file"))
	case "oauth2":
		c.oauth2(s, b)
	case "tls_config":
		c.tls(s, b)
	}
}

func (c *conversion) oauth2(s *section, b *node) {
	var o fields
	o.set("token_url", c.str(b, "token_url"))
	o.set("client_id", c.str(b, "client_id"))
	o.set("client_secret", c.secret(b.get("client_secret"), s.name, "client_secret"))
	if file := c.str(b, "client_secret_file"); file != "" {
		o.set("client_secret", "${file:"+file+"}")
	}
	o.set("scopes", c.texts(b.get("scopes")))
	o.set("params", c.textMap(b.get("endpoint_params")))
	s.fields.setIn("auth", "oauth2", o)
}

func (c *conversion) tls(s *section, b *node) {
	for _, name := range []string{"ca_file", "cert_file", "key_file", "server_name"} {
		s.fields.setIn("tls", name, c.str(b, name))
	}
	s.fields.setIn("tls", "insecure_skip_verify", c.flag(b.get("insecure_skip_verify"), false))
	for _, name := range []string{"ca_pem", "cert_pem", "key_pem", "ca", "cert", "key"} {
		c.left(b.get(name), "is the certificate or key itself; put it into a file, and name that")
	}
}

// headers converts headers. Whatever may be a secret is one.
func (c *conversion) headers(s *section, n *node) {
	for _, e := range n.maps() {
		values := e.value.list()
		if len(values) != 1 {
			c.left(e.value, "a header has one value")
			continue
		}
		value := values[0]
		lower := strings.ToLower(e.name)
		public := lower == "x-scope-orgid" || lower == "user-agent" || lower == "x-source" || lower == "content-type"
		switch {
		case lower == "x-scope-orgid" && s.fields.text("type") == "loki":
			s.fields.set("tenant_id", c.text(value))
		case public:
			s.fields.setIn("headers", e.name, c.text(value))
		default:
			s.fields.setIn("headers", e.name, c.secret(value, s.name, e.name))
		}
	}
}

// textMap converts a map of texts.
func (c *conversion) textMap(n *node) (fs fields) {
	for _, e := range n.maps() {
		fs.set(e.name, c.text(e.value))
	}
	return fs
}
