package graph

import "github.com/prometheus/client_golang/prometheus"

func inputMetrics(reg prometheus.Registerer, f *feed) {
	reg.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "longshore_input_records_total", Help: "Records read.",
		}, func() float64 { return float64(f.read.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "longshore_input_in_flight_records", Help: "Records read that the pipelines have not taken yet.",
		}, func() float64 { return float64(f.inFlight.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "longshore_input_sources", Help: "Sources that are open.",
		}, func() float64 { return float64(f.open()) }),
	)
}

// pipelineMetrics shows the account of a pipeline; see PipelineStatus.
func pipelineMetrics(reg prometheus.Registerer, p *pipelineOf) {
	reg.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "longshore_pipeline_lines_total", Help: "Lines taken.",
		}, func() float64 { return float64(p.read.Load()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "longshore_pipeline_joined_lines_total", Help: "Lines that became part of the record of a line before.",
		}, func() float64 { return float64(p.joined.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "longshore_pipeline_pending_lines", Help: "Lines that wait for the next, which may belong to their record.",
		}, func() float64 { return float64(p.inFlight.Load()) }),
	)
}
