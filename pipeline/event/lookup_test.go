package event

import "testing"

func TestLookup(t *testing.T) {
	b := &Batch{}
	b.Reset(NewSource(1, "app", "k", []Label{{"service", "shop"}, {"container.name", "web"}}))
	b.Add(1, 1700000000123000000, b.PutString("the line")).Level = Warn
	for _, f := range []struct {
		key, value string
		kind       Kind
	}{
		{"user", "ann", Plain}, {"a.b", "1", Number}, {"gone", "null", Null}, {"q", `x\ty`, Escaped},
		{"o", ` {"s" : "v\"w", "deep":{"n": [1, {"z":2}], "t":true}, "u.v":{"w":null}, "e":{}} `, Object},
	} {
		b.AddField(0, Value{b.PutString(f.key), Plain}, Value{b.PutString(f.value), f.kind})
	}
	for name, want := range map[string]string{
		"user": "ann", "a.b": "1", "q": "x\ty", "gone": "", "none": "", "o.s": `v"w`, "o.deep.t": "true",
		"o.deep.n": `[1, {"z":2}]`, "o.u.v.w": "", "o.e": "{}", "o.e.x": "", "o.z": "", "user.x": "", "o.deep.n.z": "",
		"level": "warn", "message": "the line", "service": "shop", "container.name": "web", "trace_id": "",
		"timestamp": "2023-11-14T22:13:20.123Z",
	} {
		if got := string(b.AppendNamed(nil, 0, name)); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestTemplate(t *testing.T) {
	b := &Batch{}
	b.Reset(NewSource(1, "app", "k", nil))
	b.Add(1, 0, b.PutString("hello")).Level = Info
	for text, want := range map[string]string{
		"": "", "plain": "plain", "{level}: { message }!": "info: hello!", "{none}x": "x",
	} {
		parts, err := ParseTemplate(text)
		if got := string(parts.Append(nil, b, 0)); err != nil || got != want {
			t.Errorf("%q gives %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"{", "}", "{}", "{a", "a}", "{{a}}", "{a} {"} {
		if _, err := ParseTemplate(text); err == nil {
			t.Errorf("%q is taken for a template", text)
		}
	}
}
