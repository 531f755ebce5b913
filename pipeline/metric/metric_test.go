package metric

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// TestMadeAgain: what is made again, under the same name, goes on counting.
func TestMadeAgain(t *testing.T) {
	reg := prometheus.NewRegistry()
	for range 3 {
		Counter(reg, "a_total", "A.").Inc()
		CounterVec(reg, "b_total", "B.", "why").WithLabelValues("x").Inc()
		Gauge(reg, "c", "C.").Inc()
	}
	for _, m := range []prometheus.Metric{Counter(reg, "a_total", "A."),
		CounterVec(reg, "b_total", "B.", "why").WithLabelValues("x"), Gauge(reg, "c", "C.")} {
		var d dto.Metric
		if err := m.Write(&d); err != nil {
			t.Fatal(err)
		}
		if n := d.GetCounter().GetValue() + d.GetGauge().GetValue(); n != 3 {
			t.Errorf("counted %v, want 3 of each", n)
		}
	}
}

// TestANameThatIsTaken by another kind of metric is no reason to fail.
func TestANameThatIsTaken(t *testing.T) {
	reg := prometheus.NewRegistry()
	Gauge(reg, "a", "A.").Set(7)
	Counter(reg, "a", "Another.").Inc()
}
