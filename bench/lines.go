package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// A format writes line i of a log.
type format func(dst []byte, i int, rnd *rand.Rand) []byte

var (
	levels   = []string{"info", "info", "info", "info", "debug", "warn", "error"}
	messages = []string{"request completed", "order accepted by payment", "cache miss, asking origin",
		"user session was renewed"}
	dawn = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func timeOf(i int) time.Time { return dawn.Add(time.Duration(i) * 37 * time.Microsecond) }

func pick(of []string, rnd *rand.Rand) string { return of[rnd.IntN(len(of))] }

// jsonLine writes a line of some 220 bytes with a time, a level and a trace id.
func jsonLine(dst []byte, i int, rnd *rand.Rand) []byte {
	dst = append(dst, `{"time":"`...)
	dst = timeOf(i).AppendFormat(dst, "2006-01-02T15:04:05.000000Z07:00")
	return fmt.Appendf(dst, `","level":%q,"msg":%q,"trace_id":"%016x%016x","method":"GET",`+
		`"path":"/api/v1/items/%d","status":%d,"duration_ms":%.3f,"user":"u%05d"}`,
		pick(levels, rnd), pick(messages, rnd), rnd.Uint64(), rnd.Uint64(),
		rnd.IntN(100000), 200+rnd.IntN(4)*100, rnd.Float64()*100, rnd.IntN(100000))
}

// dockerLine writes lines as dockerd's driver json-file does.
func dockerLine(of format) format {
	var line []byte
	return func(dst []byte, i int, rnd *rand.Rand) []byte {
		line = append(of(line[:0], i, rnd), '\n')
		return appendEntry(dst, timeOf(i), line)
	}
}

func logfmtLine(dst []byte, i int, rnd *rand.Rand) []byte {
	dst = append(dst, "time="...)
	dst = timeOf(i).AppendFormat(dst, "2006-01-02T15:04:05.000000Z07:00")
	return fmt.Appendf(dst, ` level=%s msg=%q trace_id=%016x%016x method=GET path=/api/v1/items/%d status=%d `+
		`duration=%.3fms user=u%05d`,
		pick(levels, rnd), pick(messages, rnd), rnd.Uint64(), rnd.Uint64(),
		rnd.IntN(100000), 200+rnd.IntN(4)*100, rnd.Float64()*100, rnd.IntN(100000))
}

func nginxLine(dst []byte, i int, rnd *rand.Rand) []byte {
	dst = fmt.Appendf(dst, "203.0.113.%d - u%05d [", rnd.IntN(256), rnd.IntN(100000))
	dst = timeOf(i).AppendFormat(dst, "02/Jan/2006:15:04:05 -0700")
	return fmt.Appendf(dst, `] "GET /api/v1/items/%d HTTP/1.1" %d %d "https://shop.example.com/cart" `+
		`"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"`,
		rnd.IntN(100000), 200+rnd.IntN(4)*100, rnd.IntN(100000))
}

func log4jLine(dst []byte, i int, rnd *rand.Rand) []byte {
	dst = timeOf(i).AppendFormat(dst, "2006-01-02 15:04:05,000")
	level := map[string]string{"info": "INFO ", "debug": "DEBUG", "warn": "WARN ", "error": "ERROR"}[pick(levels, rnd)]
	return fmt.Appendf(dst, ` %s [http-nio-8080-exec-%d] com.example.shop.OrderService - %s: order %d of user `+
		`u%05d in %.3f ms, trace_id=%016x%016x`,
		level, 1+rnd.IntN(20), pick(messages, rnd), rnd.IntN(100000), rnd.IntN(100000), rnd.Float64()*100,
		rnd.Uint64(), rnd.Uint64())
}
