package file

import (
	"testing"
)

func TestServiceOf(t *testing.T) {
	for path, want := range map[string]string{
		"/var/log/app.log":                       "app",
		"/var/log/app.log.1":                     "app",
		"/var/log/app.log.2.gz":                  "app",
		"/var/log/app-2024-05-01.log":            "app",
		"/var/log/app-20240501T1200.log.gz":      "app",
		"/var/log/my.service.log":                "my.service",
		"/var/log/nginx/access.log":              "nginx",
		"/var/log/nginx/error.log.1":             "nginx",
		"/var/log/apache2/error_log":             "apache2",
		"/srv/shop/logs/output.log":              "shop",
		"/srv/shop/log/current":                  "shop",
		"/var/log/error.log":                     "error",
		"/access.log":                            "access",
		"/var/log/syslog":                        "syslog",
		"/opt/s3/worker2.json":                   "worker2",
		"/opt/x/worker_2.json":                   "worker",
		"/opt/x/2024-05-01.log":                  "2024-05-01",
		"/opt/x/.log":                            ".log",
		"/var/log/postgresql/postgresql-16.log":  "postgresql",
		"/var/log/app/app.2024-05-01-12.out.bak": "app",
	} {
		if got := serviceOf(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestIsRotation(t *testing.T) {
	for _, tt := range []struct {
		name, of string
		want     bool
	}{
		{"app.log.1", "app.log", true},
		{"app.log-20240501", "app.log", true},
		{"app-2024-05-01.log", "app.log", true},
		{"app.1.log", "app.log", true},
		{"app.log", "app.log", false},
		{"app.log.1.gz", "app.log", false},
		{"app.log.1.tmp", "app.log", false},
		{"app.json", "app.log", false},
		{"apps.log.1", "app.log", false},
		{"app2.log", "app.log", false},
	} {
		if got := isRotation(tt.name, tt.of); got != tt.want {
			t.Errorf("%s of %s: %v", tt.name, tt.of, got)
		}
	}
}
