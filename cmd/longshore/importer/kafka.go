package importer

import "strings"

// What sends to Kafka.

// kafkaBrokers sets the brokers, which a text has with commas between them.
func (c *conversion) kafkaBrokers(s *section, n *node) {
	var brokers []string
	for _, text := range c.texts(n) {
		for b := range strings.SplitSeq(text, ",") {
			if b = strings.TrimSpace(b); b != "" && !strings.Contains(b, ":") {
				b += ":9092"
			}
			brokers = append(brokers, b)
		}
	}
	s.fields.set("brokers", brokers)
}

// kafkaLogin sets how to log in.
func (c *conversion) kafkaLogin(s *section, mechanism, user, password *node) {
	if mechanism == nil && user == nil {
		return
	}
	s.fields.setIn("sasl", "mechanism", strings.ToLower(firstOf(c.text(mechanism), "plain")))
	s.fields.setIn("sasl", "username", c.text(user))
	s.fields.setIn("sasl", "password", c.secret(password, s.name, "password"))
}

// kafkaCompression converts how batches are compressed.
func (c *conversion) kafkaCompression(s *section, n *node) {
	kind := firstOf(n.raw(), "none")
	c.done(n)
	if kind != "snappy" {
		s.fields.set("compression", kind)
	}
}

func (c *conversion) vectorKafka(s *section, n *node) {
	c.kafkaBrokers(s, n.get("bootstrap_servers"))
	f := c.newFlow("")
	f.line = otherParser
	s.fields.set("topic", f.vectorTemplate(n.get("topic")))
	if key := n.get("key_field"); key != nil {
		s.fields.set("key", template(strings.TrimPrefix(c.text(key), ".")))
	}
	c.kafkaCompression(s, n.get("compression"))
	if sasl := n.get("sasl"); sasl.get("enabled").isTrue() {
		c.kafkaLogin(s, sasl.get("mechanism"), sasl.get("username"), sasl.get("password"))
	}
	c.done(n.at("sasl.enabled"))
	for _, name := range []string{"message_timeout_ms", "socket_timeout_ms", "rate_limit_num",
		"rate_limit_duration_secs", "librdkafka_options"} {
		c.skip(n.get(name), "Longshore decides about this by itself")
	}
	c.left(n.get("headers_key"), "headers have what names a record")
}
