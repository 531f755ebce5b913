package event

// Format is what a parser took a line for. It is written where people ask why a
// line was understood as it was.
type Format uint8

// Of a line within a line (a container runtime's, a syslog daemon's), the format is that of the
// inner one, if it was understood. What has no name of its own here is text.
const (
	FormatNone Format = iota // no parser took it
	FormatJSON
	FormatLogfmt
	FormatAccess // nginx, Apache and their like
	FormatSyslog
	FormatText // text with a head that was understood
	FormatAndroid
	FormatApacheError
	FormatCelery
	FormatClickHouse
	FormatCockroach
	FormatCompose // what docker compose writes before lines
	FormatCRI
	FormatDocker // lines of Docker's json-file
	FormatDotNet
	FormatElasticsearch
	FormatEnvoy
	FormatEnvoyAccess
	FormatErlang
	FormatGin
	FormatHAProxy
	FormatJUL
	FormatKafka
	FormatKernel
	FormatKlog
	FormatMongoDB
	FormatMonolog
	FormatMySQL
	FormatNest
	FormatNginxError
	FormatPHP
	FormatPostgres
	FormatQuarkus
	FormatRabbitMQ
	FormatRedis
	FormatRuby
	FormatRust
	FormatSpringBoot
	FormatSvlogd // what runit's logger writes before lines
	FormatSystemd
	FormatTornado
	FormatZapConsole
	FormatZooKeeper
	formats
)

var formatNames = [formats]string{
	"none", "json", "logfmt", "access", "syslog", "text", "android", "apache-error", "celery", "clickhouse",
	"cockroachdb", "compose", "cri", "docker", "dotnet", "elasticsearch", "envoy", "envoy-access", "erlang",
	"gin", "haproxy", "jul", "kafka", "kernel", "klog", "mongodb", "monolog", "mysql", "nest", "nginx-error",
	"php", "postgres", "quarkus", "rabbitmq", "redis", "ruby", "rust", "spring-boot", "svlogd", "systemd",
	"tornado", "zap-console", "zookeeper",
}

// String returns the format's name.
func (f Format) String() string {
	if f >= formats {
		return "unknown"
	}
	return formatNames[f]
}
