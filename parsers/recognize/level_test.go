package recognize

import (
	"testing"

	"github.com/longshore/longshore/pipeline/event"
)

func TestLevelText(t *testing.T) {
	tests := []struct {
		text string
		form form
		want event.Level
	}{
		{"trace", 0, event.Trace}, {"TRC", 0, event.Trace}, {"silly", 0, event.Trace}, {"FINEST", 0, event.Trace},
		{"trce", 0, event.Trace},
		{"debug", 0, event.Debug}, {"dbug", 0, event.Debug}, {"DBG", 0, event.Debug}, {"verbose", 0, event.Debug},
		{"Verbose", 0, event.Trace}, {"DEBUG3", 0, event.Debug}, {"fine", 0, event.Debug}, {"D5", 0, event.Debug},
		{"Information", 0, event.Info}, {"INFORMATIONAL", 0, event.Info}, {"notice", 0, event.Info},
		{"INF", 0, event.Info}, {" info ", 0, event.Info}, {"[INFO]", 0, event.Info},
		{"warning", 0, event.Warn}, {"WRN", 0, event.Warn}, {"W", 0, event.Warn},
		{"eror", 0, event.Error}, {"erro", 0, event.Error}, {"SEVERE", 0, event.Error}, {"err", 0, event.Error},
		{"crit", 0, event.Fatal}, {"CRITICAL", 0, event.Fatal}, {"dpanic", 0, event.Fatal}, {"panic", 0, event.Fatal},
		{"alert", 0, event.Fatal}, {"emerg", 0, event.Fatal}, {"Emergency", 0, event.Fatal}, {"FTL", 0, event.Fatal},
		{"INFO+2", 0, event.Info}, {"INFO+4", 0, event.Warn}, {"DEBUG-4", 0, event.Trace}, {"DEBUG+3", 0, event.Debug},
		{"ERROR+4", 0, event.Fatal}, {"WARN-1", 0, event.Info}, {"INFO+x", 0, 0}, {"+2", 0, 0},
		{"\x1b[32minfo\x1b[39m", 0, event.Info}, {"\x1b[1m\x1b[31mERROR\x1b[0m", 0, event.Error}, {"\x1b[", 0, 0},
		{"LOG", formPostgres, event.Info}, {"LOG", 0, event.Info}, {"System", formMySQL, event.Info},
		{"10", 0, event.Trace}, {"20", 0, event.Debug}, {"30", 0, event.Info}, {"35", 0, event.Info},
		{"40", 0, event.Warn}, {"50", 0, event.Error}, {"60", 0, event.Fatal}, {"70", 0, 0}, {"3", 0, 0},
		{"10", formPython, event.Debug}, {"30", formPython, event.Warn}, {"50", formPython, event.Fatal},
		{"0", formSyslog, event.Fatal}, {"3", formSyslog, event.Error}, {"4", formSyslog, event.Warn},
		{"5", formSyslog, event.Info}, {"7", formSyslog, event.Debug}, {"8", formSyslog, 0},
		{"1", formOTel, event.Trace}, {"9", formOTel, event.Info}, {"12", formOTel, event.Info},
		{"24", formOTel, event.Fatal}, {"25", formOTel, 0},
		{"5000", 0, event.Trace}, {"20000", 0, event.Info}, {"40000", 0, event.Error}, {"50001", 0, 0},
		{"250", 0, event.Info}, {"400", 0, event.Error}, {"550", 0, event.Fatal},
		{"300", formSeverity, event.Info}, {"400", formSeverity, event.Warn}, {"800", formSeverity, event.Fatal},
		{"0", formSeverity, event.Fatal},
		{"", 0, 0}, {"high", 0, 0}, {"errors", 0, 0}, {"x", 0, 0}, {"1e1", 0, 0}, {"99999999999", 0, 0},
	}
	for _, test := range tests {
		if got := levelText([]byte(test.text), test.form); got != test.want {
			t.Errorf("%q (form %d): got %v, want %v", test.text, test.form, got, test.want)
		}
	}
}

func TestKeys(t *testing.T) {
	for _, name := range []string{"level", "trace_id", "logging.googleapis.com/trace", "@t", "msg", "service.name"} {
		if !KeyOf([]byte(name)).IsCore() {
			t.Errorf("%s is not known", name)
		}
	}
	for _, name := range []string{"", "request_id", "id", "user", "levels", "traces", "trace_ids", "message2",
		"correlation_id"} {
		if KeyOf([]byte(name)).IsKnown() {
			t.Errorf("%s is known", name)
		}
	}
}
