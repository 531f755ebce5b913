package access

import (
	"testing"

	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	newParser, err := new(Config).Parser()
	if err != nil {
		t.Fatal(err)
	}
	pipetest.TestParser(t, newParser, `203.0.113.9 - anna [01/May/2024:12:00:00 +0000] "POST /api/v1/orders `+
		`HTTP/2.0" 503 612 "-" "curl/8.5.0"`)
}
