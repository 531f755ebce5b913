package main

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestAppendFrame(t *testing.T) {
	at := time.Date(2026, 3, 1, 13, 0, 0, 1_000, time.FixedZone("", 3600))
	const want = "\x01\x00\x00\x00\x00\x00\x00\x22" + "2026-03-01T12:00:00.000001000Z hi\n"
	if got := string(appendFrame(nil, at, []byte("hi\n"))); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDockerLine(t *testing.T) {
	line := dockerLine(func(dst []byte, _ int, _ *rand.Rand) []byte { return append(dst, `say "<a>"`...) })
	const want = `{"log":"say \"\u003ca\u003e\"\n","stream":"stdout","time":"2026-03-01T12:00:00.000037Z"}`
	for range 2 {
		if got := string(line(nil, 1, nil)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
