// Package elasticsearch sends records to Elasticsearch 7.17, 8 and 9, to OpenSearch, and to what
// else understands their bulk request.
//
// Documents are created with the record's identity as _id, and a 409 means that a record is already
// stored. As a data stream or an alias may have rolled over to another index since, there an
// uncertain record is searched for by its id first. The date in an index name is the record's,
// never the clock's.
//
// The client is esapi.BulkRequest over Elastic's transport, without its product check: OpenSearch
// works too, and the binary is 13 MiB smaller than with the root package.
//
// A 400 that the document is not to blame for (a closed index, a shard limit, a missing ingest
// pipeline) is held and does not make a dead letter.
//
// Documents have @timestamp beside timestamp, which data streams and Kibana require. With schema:
// otel they are what Elasticsearch's own templates for logs-*.otel-* expect and the Collector's
// exporter writes, not OTLP's JSON, which only a collector reads.
package elasticsearch
