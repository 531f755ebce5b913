package syslog

import (
	"testing"

	"github.com/longshore/longshore/pipeline/pipetest"
)

func TestConformance(t *testing.T) {
	newParser, err := new(Config).Parser()
	if err != nil {
		t.Fatal(err)
	}
	pipetest.TestParser(t, newParser, `<34>May  1 12:00:00 web-1 su[230]: 'su root' failed for anna on /dev/pts/8`)
}
