package multiline

import (
	"strings"
	"testing"
)

func TestFindException(t *testing.T) {
	tests := []struct{ record, kind, message string }{
		{"2024-05-01 12:00:00 ERROR x failed\njava.lang.IllegalStateException: closed\n\tat " +
			"A.a(A.java:1)\nCaused by: a.BException: c", "java.lang.IllegalStateException", "closed"},
		{"Exception in thread \"main\" java.lang.Error\n\tat A.a(A.java:1)", "java.lang.Error", ""},
		{"ERROR:root:x\nTraceback (most recent call last):\n  File \"a.py\", line 1\n    raise X\nKeyError: " +
			"'k'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most " +
			"recent call last):\n  File \"a.py\"\nshop.errors.Gone: no\nmore", "shop.errors.Gone", "no"},
		{"Traceback (most recent call last):\n  File \"a.py\"\nKeyboardInterrupt", "KeyboardInterrupt", ""},
		{"ERROR:root:x\n  + Exception Group Traceback (most recent call last):\n  |   File \"a.py\", line 1\n  " +
			"|     raise X\n  | ExceptionGroup: many (2 sub-exceptions)\n  +-+---------------- 1 " +
			"----------------\n    | ValueError: 1\n    +------------------------------------", "ExceptionGroup",
			"many (2 sub-exceptions)"},
		{"panic: boom\n\ngoroutine 1 [running]:", "panic", "boom"},
		{"thread 'main' (7) panicked at src/main.rs:1:2:\nindex out of bounds\nnote: x", "panic",
			"index out of bounds"},
		{"/app/x.js:1\nthrow x\n^\n\nTypeError [ERR_X]: bad\n    at f (x.js:1:1)", "TypeError", "bad"},
		{"fail: Shop.Worker[0]\n      failed\n      System.InvalidOperationException: no\n         at A.B()",
			"System.InvalidOperationException", "no"},
		{"Unhandled exception. System.Exception: boom\n   at A.B()", "System.Exception", "boom"},
		{"PHP Fatal error:  Uncaught RuntimeException: x in /a.php:1\nStack trace:\n#0 {main}", "RuntimeException",
			"x in /a.php:1"},
		{"one\ntwo: three\nError handling: fine", "", ""},
		{"", "", ""},
	}
	for _, test := range tests {
		got, ok := FindException([]byte(test.record))
		if string(got.Type) != test.kind || string(got.Message) != test.message || ok != (test.kind != "") {
			t.Errorf("%q: %q, %q, %v", test.record, got.Type, got.Message, ok)
		}
	}
}

func TestAppendWithoutHeads(t *testing.T) {
	const head = "2016-10-06T00:17:09.669794202Z stdout "
	tests := []struct{ record, want string }{
		{head + "F a\n" + head + "F \tb", head + "F a\n\tb"},
		{head + "P a\n" + head + "P b\n" + head + "F c\n" + head + "F d", head + "F abc\nd"},
		{head + "F a\nb", head + "F a\nb"},
		{head + "F\n" + head + "F b", head + "F\nb"},
		{"a\nb", ""},
	}
	for _, test := range tests {
		got, ok := AppendWithoutHeads(nil, []byte(test.record))
		if string(got) != test.want || ok != (test.want != "") {
			t.Errorf("%q: %q, want %q", test.record, got, test.want)
		}
	}
}

func FuzzFindException(f *testing.F) {
	for _, text := range goldenFiles(f) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		e, ok := FindException(record)
		if ok && (len(e.Type) == 0 || !strings.Contains(string(record), string(e.Type)) ||
			!strings.Contains(string(record), string(e.Message))) {
			t.Fatalf("%q, %q", e.Type, e.Message)
		}
		AppendWithoutHeads(nil, record)
	})
}
