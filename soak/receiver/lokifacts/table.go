package lokifacts

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	logproto "github.com/grafana/loki/pkg/push"
)

const pushPath = "/loki/api/v1/push"

// facts are those about pushes that a sender may rely on, or has to reckon with.
var facts = []fact{
	{"protobuf", "", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, at(0, "one"))), 204)
		l.holds(`{a="b"}`, 1) // within a second, that is at once
	}},
	{"the old endpoint", "", func(l *tenant) {
		l.wants(l.pushTo("/api/prom/push", stream(`{a="b"}`, at(0, "one"))), 204)
		l.holds(`{a="b"}`, 1)
	}},
	{"JSON", "", func(l *tenant) {
		l.wants(l.do(http.MethodPost, pushPath, "application/json", "", jsonPush(`"one",{"k":"v"}`)), 204)
		l.wants(l.do(http.MethodPost, pushPath, "application/json", "gzip", gzipped(jsonPush(`"two"`))), 204)
		l.wants(l.do(http.MethodPost, pushPath, "application/json", "deflate", deflated(jsonPush(`"three"`))), 204)
		l.holds(`{a="b"}`, 3)
		l.holds(`{a="b"} | k="v"`, 1)
	}},
	{"JSON in zstd", "", func(l *tenant) {
		l.wants(l.do(http.MethodPost, pushPath, "application/json", "zstd", jsonPush(`"one"`)), 400)
	}},
	{"JSON metadata that is no string", "", func(l *tenant) {
		l.wants(l.do(http.MethodPost, pushPath, "application/json", "", jsonPush(`"one",{"k":1}`)), 400)
		l.holds(`{a="b"}`, 0)
	}},
	{"no tenant", "", func(l *tenant) {
		named := l.name
		l.name = ""
		l.wants(l.push(stream(`{a="b"}`, at(0, "one"))), 401, "no org id")
		l.name = named
	}},
	{"another tenant", "", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, at(0, "one"))), 204)
		l.name += "2"
		l.holds(`{a="b"}`, 0)
	}},
	{"service_name", "", func(l *tenant) {
		l.wants(l.push(stream(`{app="b", job="c"}`, at(0, "one")), stream(`{job="c"}`, at(0, "two")),
			stream(`{x="y"}`, at(0, "three")), stream(`{app="b", service_name="d"}`, at(0, "four"))), 204)
		for _, name := range []string{"b", "c", "unknown_service", "d"} {
			l.holds(`{service_name="`+name+`"}`, 1)
		}
	}},
	{"a level that is sent", "", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, at(0, "ERROR one", "detected_level", "info"))), 204)
		l.holds(`{a="b"} | detected_level="info"`, 1)
	}},

	{"fifteen labels", "", func(l *tenant) {
		l.wants(l.push(stream(labels(15), at(0, "one"))), 204) // and service_name, which is free
		l.holds(`{l00="v"}`, 1)
	}},
	{"sixteen labels", "", func(l *tenant) {
		l.wants(l.push(stream(labels(16), at(0, "one")), stream(`{a="b"}`, at(0, "two"))), 400, "label names; limit 15")
		l.holds(`{l00="v"}`, 0)
		l.holds(`{a="b"}`, 1)
	}},
	{"a long label name", "", func(l *tenant) {
		l.wants(l.push(stream(`{`+strings.Repeat("n", 1024)+`="v"}`, at(0, "one"))), 204)
		l.wants(l.push(stream(`{b="c", `+strings.Repeat("n", 1025)+`="v"}`, at(0, "one")),
			stream(`{a="b"}`, at(0, "two"))), 400, "label name too long")
		l.holds(`{b="c"}`, 0)
		l.holds(`{a="b"}`, 1)
	}},
	{"a long label value", "", func(l *tenant) {
		l.wants(l.push(stream(`{a="b", v="`+strings.Repeat("v", 2048)+`"}`, at(0, "one"))), 204)
		l.wants(l.push(stream(`{b="c", v="`+strings.Repeat("v", 2049)+`"}`, at(0, "one")),
			stream(`{a="b"}`, at(0, "two"))), 400, "label value too long")
		l.holds(`{b="c"}`, 0)
		l.holds(`{a="b"}`, 2)
	}},
	{"a replacement character in a label", "", func(l *tenant) {
		for _, v := range []string{`"a\ufffdb"`, "\"a\ufffdb\""} {
			l.wants(l.push(stream(`{a="b", v=`+v+`}`, at(0, "one")), stream(`{a="b"}`, at(0, "two"))), 400,
				"couldn't parse labels")
		}
		l.wants(l.push(stream(`{a="b"}`, at(0, "a \ufffd", "k", "a \ufffd"))), 204) // in the line or beside it
		l.holds(`{a="b"}`, 1)
	}},
	{"odd characters in a label", "", func(l *tenant) {
		for _, r := range "\u00a0\u00ad\u200b\u202e\ufeff\ue000\ufffe\U0001f600\U0010ffff" {
			l.wants(l.push(stream(`{a="b", v=`+strconv.Quote(string(r))+`}`, at(0, "one"))), 204)
		}
		l.holds(`{a="b"}`, 9)
	}},
	{"a long line", "", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, at(0, strings.Repeat("x", 256<<10)))), 204)
		l.wants(l.push(stream(`{a="b"}`, at(2, strings.Repeat("x", 256<<10+1)), at(1, "two"))), 400,
			"max entry size '262144' bytes exceeded", "length '262145' bytes")
		l.holds(`{a="b"}`, 2)
	}},
	{"too much metadata", "", func(l *tenant) {
		most := make([]string, 2*129)
		for i := range 129 {
			most[2*i], most[2*i+1] = fmt.Sprint("k", i), "v"
		}
		l.wants(l.push(stream(`{a="b"}`, at(2, "one", most...), at(1, "two"))), 400,
			"has too many structured metadata labels")
		l.wants(l.push(stream(`{a="b"}`, at(2, "three", "k", strings.Repeat("v", 64<<10)), at(1, "four"))), 400,
			"has structured metadata too large")
		l.holds(`{a="b"}`, 2)
	}},
	{"metadata where none is allowed", "limits_config: {allow_structured_metadata: false}", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, at(2, "one", "k", "v"), at(1, "two"))), 400,
			"includes structured metadata, but this feature is disallowed")
		l.holds(`{a="b"}`, 1)
	}},
	{"old", "", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, at(8*24*time.Hour, "one"), at(0, "two"))), 400, "has timestamp too old",
			"oldest acceptable timestamp is")
		l.holds(`{a="b"}`, 1)
	}},
	{"of the future", "", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, at(0, "one"), at(-11*time.Minute, "two"))), 400, "has timestamp too new")
		l.wants(l.push(stream(`{a="b"}`, at(-9*time.Minute, "three"))), 204)
		l.holds(`{a="b"}`, 2)
	}},
	{"two of a kind in one answer", "", func(l *tenant) {
		when := time.Now().Add(-8 * 24 * time.Hour).Truncate(time.Second)
		one, two := at(0, "one"), at(0, "two")
		one.Timestamp, two.Timestamp = when, when.Add(1)
		l.wants(l.push(stream(`{a="b"}`, one, two)), 400, "2 errors like: entry for stream")
	}},

	{"an hour behind the stream's newest", "", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, at(0, "newest"))), 204)
		l.wants(l.push(stream(`{a="b"}`, at(59*time.Minute, "in time"))), 204)
		l.wants(l.push(stream(`{a="b"}`, at(2*time.Hour, "late"), at(time.Minute, "rest"))), 400,
			"entry too far behind", "total ignored: 1 out of 2 for stream: {")
		l.holds(`{a="b"}`, 3)
		l.wants(l.push(stream(`{a="b", late="1"}`, at(2*time.Hour, "late"))), 204)
		l.holds(`{a="b"}`, 4)
	}},
	{"out of order", "", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, at(0, "two"), at(time.Minute, "one"))), 204)
		if lines, _, _ := l.shown(`{a="b"}`, 10); !slices.Equal(lines, []string{"one", "two"}) {
			l.Errorf("shown are %q", lines)
		}
	}},
	{"ten are named of those ignored", "", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, at(0, "newest"))), 204)
		late := many(20, 10)
		for i := range late {
			late[i].Timestamp = late[i].Timestamp.Add(-3 * time.Hour)
		}
		got := l.push(stream(`{a="b"}`, late...))
		l.wants(got, 400, "total ignored: 20 out of 20")
		if n := strings.Count(got.text, "entry with timestamp"); n != 10 {
			l.Errorf("%d are named", n)
		}
	}},
	{"a rejection that a later stream's success hides", "", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, at(0, "newest"))), 204)
		l.wants(l.push(stream(`{a="b"}`, at(2*time.Hour, "late")), stream(`{b="c"}`, at(0, "good"))), 204)
		l.holds(`{a="b"}`, 1)
		l.holds(`{b="c"}`, 1)
	}},

	{"the tenant's rate", "limits_config: {ingestion_rate_mb: 0.5, ingestion_burst_size_mb: 0.6}", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, many(700, 1000)...)), 429, "ingestion rate limit exceeded",
			"(limit: 524288 bytes/sec)", "lines totaling '700000' bytes")
		l.holds(`{a="b"}`, 0)
		l.wants(l.push(stream(`{a="b"}`, many(500, 1000)...)), 204)
		l.wants(l.push(stream(`{c="d"}`, many(500, 1000)...)), 429)
		l.holds(`{c="d"}`, 0)
	}},
	{"the stream's rate", "limits_config: {per_stream_rate_limit: 500KB, per_stream_rate_limit_burst: 600KB, " +
		"shard_streams: {enabled: false}}", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, at(0, "small")), stream(`{c="d"}`, many(400, 1000)...)), 204)
		l.wants(l.push(stream(`{a="b"}`, at(0, "small too")), stream(`{c="d"}`, many(500, 1001)...)), 429,
			"Per stream rate limit exceeded (limit: 500KB/sec)", "total ignored: ")
		l.holds(`{a="b"}`, 2)
	}},
	{"the stream's rate by default", "limits_config: {per_stream_rate_limit: 500KB, " +
		"per_stream_rate_limit_burst: 600KB}", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, many(700, 1000)...)), 429, "Per stream rate limit exceeded",
			"total ignored: 700 out of 700")
		l.holds(`{a="b"}`, 0)
	}},
	{"the number of streams", "limits_config: {max_global_streams_per_user: 2}", func(l *tenant) {
		l.wants(l.push(stream(`{a="1"}`, at(0, "x")), stream(`{a="2"}`, at(0, "x"))), 204)
		l.wants(l.push(stream(`{a="1"}`, at(0, "y")), stream(`{a="3"}`, at(0, "x"))), 429,
			"maximum active stream limit exceeded when trying to create stream")
		l.holds(`{a="1"}`, 2)
		l.holds(`{a="3"}`, 0)
	}},
	{"a body too large", "distributor: {max_recv_msg_size: 100000}", func(l *tenant) {
		var entries []logproto.Entry
		for i := range 20_000 { // what does not compress
			entries = append(entries, at(time.Duration(i), fmt.Sprintf("%x", i*2654435761)))
		}
		got := l.push(stream(`{a="b"}`, entries...))
		l.wants(got, 413, "request body too large")
		l.holds(`{a="b"}`, 0)
	}},
	{"more than four mebibytes for one ingester", "limits_config: {shard_streams: {enabled: false}}", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, many(50, 100<<10)...)), 500, "larger than max")
	}},
	{"no streams", "", func(l *tenant) {
		l.wants(l.push(), 422, "at least one valid stream is required for ingestion")
	}},
	{"no protobuf", "", func(l *tenant) {
		l.wants(l.do(http.MethodPost, pushPath, "application/x-protobuf", "", []byte("hello")), 400)
	}},
	{"labels that are none", "", func(l *tenant) {
		l.wants(l.push(stream(`{a=b}`, at(0, "one")), stream(`{a="b"}`, at(0, "two"))), 400)
		l.holds(`{a="b"}`, 0)
	}},
	{"blocked ingestion", "limits_config: {block_ingestion_until: '2100-01-01T00:00:00Z', " +
		"block_ingestion_status_code: 260}", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, at(0, "one"))), 260, "ingestion blocked for user",
			"until '2100-01-01T00:00:00Z'")
		l.holds(`{a="b"}`, 0)
	}},

	{"a repeat within the head block", "", func(l *tenant) {
		all := many(1000, 50)
		l.wants(l.push(stream(`{a="b"}`, all...)), 204)
		l.wants(l.push(stream(`{a="b"}`, all[300:500]...)), 204)
		l.holds(`{a="b"}`, 1000)
	}},
	{"a repeat of a whole batch", "limits_config: {ingestion_rate_mb: 100, ingestion_burst_size_mb: 100}",
		func(l *tenant) {
			all := many(10_000, 230)
			l.wants(l.push(stream(`{a="b"}`, all...)), 204)
			l.wants(l.push(stream(`{a="b"}`, all...)), 204)
			l.holds(`{a="b"}`, 20_000)
		}},
	{"equal lines of one instant", "", func(l *tenant) {
		e := at(0, "same")
		equal := slices.Repeat([]logproto.Entry{e}, 100)
		l.wants(l.push(stream(`{a="b"}`, equal...)), 204)
		l.holds(`{a="b"}`, 1)
		for i := range equal {
			equal[i].StructuredMetadata = at(0, "", "i", fmt.Sprint(i)).StructuredMetadata
		}
		l.wants(l.push(stream(`{c="d"}`, equal...)), 204)
		l.holds(`{c="d"}`, 100)
	}},
	{"more entries than may be asked for", "", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, many(10, 10)...)), 204)
		if lines, _, got := l.shown(`{a="b"}`, 5000); len(lines) != 10 {
			l.Errorf("%d are shown: %s", len(lines), got.text)
		}
		_, _, got := l.shown(`{a="b"}`, 5001)
		l.wants(got, 400, "max entries limit per query exceeded", "(5001 > 5000)")
	}},
	{"entries of five hours ago before a flush and after", "", func(l *tenant) {
		l.wants(l.push(stream(`{a="b"}`, at(5*time.Hour, "old"))), 204)
		l.holds(`{a="b"}`, 0)
		l.do(http.MethodPost, "/flush", "", "", nil)
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			if lines, _, _ := l.shown(`{a="b"}`, 10); len(lines) == 1 {
				return
			}
		}
		l.Error("it is not shown after a flush")
	}},
	{"entries of five hours ago with an endless look-back", "ingester: {query_store_max_look_back_period: -1ns}",
		func(l *tenant) {
			l.wants(l.push(stream(`{a="b"}`, at(5*time.Hour, "old"))), 204)
			l.holds(`{a="b"}`, 1)
		}},
}
