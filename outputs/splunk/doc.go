// Package splunk is the output to Splunk's HTTP Event Collector (HEC): batches of events, each a
// JSON object with its time, host, source, sourcetype and index.
//
// HEC has no identity for an event and no question for what is stored, so what was sent without an
// answer is sent again, and may be there twice. Its answer says that an event looks valid, before
// it is indexed; with indexer acknowledgement, a request ends only when the indexers have it.
//
// What is known of HEC here is from its documentation: no Splunk can be had for the tests.
package splunk
