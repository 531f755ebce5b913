// Package mappingtest has log lines that an empty index would refuse, for tests without a server
// and for those with one.
package mappingtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Awkward returns lines with one trouble each.
func Awkward() []string {
	nested := func(n int) string { return strings.Repeat(`{"in":`, n) + "1" + strings.Repeat("}", n) }
	list := func(n int, format string) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(format, i))
		}
		return strings.Join(all, ",")
	}
	fields := []string{
		`"_id":"7"`, `"_id":{"$oid":"7"}`, `"_source":{"a":1}`, `"_source.a":1`, `"_type":"x"`, `"_index":"x"`,
		`"_routing":"x"`, `"_doc_count":"x"`, `"_ignored":["a"]`, `"_field_names":1`,
		`"_data_stream_timestamp":5`,
		`"_tier":"x"`, `"_seq_no":1`, `"_version":1`, `"_nested_path":1`, `"_ID":1`,
		`"in":{"_id":1,"_source":2}`,
		`"shop":"a","shop.till":1`, `"shop.till":1,"shop":"a"`, `"x":{"shop":1,"shop.till":"a"}`,
		`"a.b.c":1,"a.b":2,"a":3`, `"a":{"b":1},"a.b":{"c":1}`, `"a":{"b":1},"a.b":"x"`, `"a":[],"a.b":1`,
		`"a":null,"a.b":1`, `"a":1,"a.b":2,"a_original":{"c":3}`, `"x":[{"till":1,"till.no":2},{"till":"a"}]`,
		`"":1,".":2,"..":3," ":4`, `"a.":1,"a_":2`, `"x":{"":1,".":2," ":3}`, `"a. .b":1`,
		`"x":{"a..b":1,".a":2}`,
		`"service.a.b":1,"service.a_b":2`, `"level.x":1,"level_x":"y"`,
		`"x":[1,"two"]`, `"x":["one",{"three":3}]`, `"x":[[1],["a"]]`, `"x":[true,"x"]`, `"x":[true,1]`,
		`"x":["2026-01-01","x"]`, `"x":["x","2026-01-01"]`, `"x":["2026/01/01","2026-01-01"]`,
		`"x":["2026-01-01",1]`,
		`"x":[{"a":1},{"a":"x"}]`, `"x":[{"a":1},{"a":{"b":2}}]`, `"x":[{"a":[1]},{"a":2.5}]`, `"x":[{},1]`,
		`"x":[[[{"a":1}],2]]`, `"x":[null,{"a":null},{"a":1}]`, `"x":[1,2.5,3e2]`,
		`"x":"2026-13"`, `"x":"4711-99"`, `"x":"2026/02/30"`, `"x":{"y":"0000-00"}`, `"x":["2026-13"]`,
		`"x":"-2026-13"`,
		`"x":"2026-13T"`, `"x":"2026\u002d13"`,
		`"x":9223372036854775807`, `"x":9223372036854775808`, `"x":-9223372036854775809`,
		`"x":[1,18446744073709551615]`,
		`"x":{"y":123456789012345678901234567890}`, `"x":1e39`, `"x":-3.5e38`, `"x":1e400`, `"x":1e-400`,
		`"x":3.4028236e38`,
		`"x":1.` + strings.Repeat("1", 1200), `"x":` + strings.Repeat("1", 1200),
		`"` + strings.Repeat("k", 33_000) + `":"` + strings.Repeat("v", 300) + `"`,
		`"x":{"` + strings.Repeat("é", 20_000) + `":{"` + strings.Repeat("k", 20_000) + `":"` +
			strings.Repeat("v", 300) + `"}}`,
		`"x":"` + strings.Repeat("w", 40_000) + `"`, `"x":` + nested(17), `"x":` + nested(25),
		`"a.b.c.d":` + nested(17),
		`"` + strings.Repeat("a.", 30) + `a":1`,
		`"x":` + strings.Repeat("[", 60) + "1" + strings.Repeat("]", 60),
		`"x":` + strings.Repeat(`[{"a":`, 15) + "1" + strings.Repeat("}]", 15),
		list(700, `"f%d":"s"`), list(950, `"f%d":1`), list(300, `"f%d":{"a":"s","b":"t"}`),
		`"x":{` + list(800, `"f%d":"s"`) + `}`,
		`"x":[` + list(800, `{"f%d":"s"}`) + `],"y":1`, `"x":[` + list(1200, `{"f%d":1}`) + `]`,
		list(600, `"f.%d":"s"`),
		`"other_fields":1,` + list(600, `"f%d":"s"`), `"v":"\ud800","k\udc00":{"k\ud800":1}`,
		`"host":{"name":{"x":1}},"host.name":5`,
	}
	for i, f := range fields {
		fields[i] = `{"msg":"m",` + f + `}`
	}
	return append(fields, "4711-99", `{"msg":"2026-13"}`)
}

// Random returns lines that are objects of any shape.
func Random(seed uint64, n int) []string {
	r := randomJSON{rand.New(rand.NewPCG(seed, 1))}
	var lines []string
	for range n {
		lines = append(lines, r.object(0))
	}
	return lines
}

type randomJSON struct{ *rand.Rand }

func (r randomJSON) object(depth int) string {
	parts := []string{"a", "b", "c", "till", "user", "error", "message", "level", "host", "name", "service",
		"labels",
		"log", "_id", "_source", "_type", "", " ", "x y", "é", "timestamp", "@timestamp", "trace_id",
		"other_fields", "_",
		"a_original", "tags", "\u2003", "2", "*", "a/b", `k\ud800`}
	n := r.IntN(6)
	switch {
	case depth > 2:
		n = r.IntN(3)
	case depth == 0 && r.IntN(20) == 0:
		n = r.IntN(60)
	}
	var members []string
	seen := map[string]bool{}
	for range n {
		name := parts[r.IntN(len(parts))]
		for r.IntN(3) == 0 {
			name += "." + parts[r.IntN(len(parts))]
		}
		if !seen[name] {
			seen[name] = true
			members = append(members, fmt.Sprintf(`"%s":%s`, name, r.value(depth+1)))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (r randomJSON) value(depth int) string {
	scalars := []string{"1", "-7", "0", "2.5", "-0.0", "1e5", "1e39", "1e400", "9223372036854775807",
		"9223372036854775808",
		"18446744073709551615", "true", "false", "null", `"x"`, `"1"`, `"true"`, `""`, `"2026-01-01"`,
		`"2026-01-01T10:00:00Z"`,
		`"2026-01-01T10:00:00.5+02:00"`, `"2026/01/01"`, `"2026/01/01 10:00:00"`, `"2026-13"`, `"2026-1-1"`,
		`"2026"`, `"2026T10"`,
		`"10.0.0.1"`, `"-"`, `"12345678-1234"`, `"a\"b\n"`}
	switch k := r.IntN(10); {
	case k < 3 && depth < 22:
		return r.object(depth)
	case k < 5 && depth < 22:
		var all []string
		for range r.IntN(4) {
			all = append(all, r.value(depth+1))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	return scalars[r.IntN(len(scalars))]
}
