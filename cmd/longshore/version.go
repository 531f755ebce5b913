package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
)

// version is set by the linker: -X main.version=v1.2.3.
var version string

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version",
		Args:  cobra.NoArgs,
		RunE: action(func(*cobra.Command, []string) error {
			_, err := printf(a.stdout, "longshore %s\n", versionText())
			return err
		}),
	}
}

// versionText returns the version, that of Go, and the platform.
func versionText() string {
	return fmt.Sprintf("%s (%s, %s/%s)", versionNumber(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// registerBuildInfo adds the metric that says which program runs.
func registerBuildInfo(reg prometheus.Registerer) {
	labels := prometheus.Labels{"version": versionNumber(), "goversion": runtime.Version()}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "longshore_build_info", Help: "1; its labels say which version runs.", ConstLabels: labels,
	}, func() float64 { return 1 }))
}

// versionNumber returns the linker's, or else what Go records of the module.
func versionNumber() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "dev"
	}
	return info.Main.Version
}
