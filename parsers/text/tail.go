package text

import (
	"bytes"

	"github.com/longshore/longshore/parsers/recognize"
	"github.com/longshore/longshore/pipeline/event"
)

// behindLevel reads what stands between a level and the message. What is not surely
// a part of the head belongs to the message.
func (h *head) behindLevel() {
	p := h.text
	at := h.at
	switch {
	case at < len(p) && p[at] == '\t':
		h.tabbed()
		return
	case h.boxedLevel && at < len(p) && p[at] == '[':
		h.adjacent()
		return
	}
	at = skipSigns(p, at)
	h.at = at
	if h.spring(at) || h.processThread(at) || h.inModule(at) {
		return
	}
	before := h.n
	if next, sure := h.namesBehind(at); sure {
		h.at = next
	} else {
		h.n = before
	}
	h.trailer()
}

// adjacent reads [level][logger][thread] and what may follow:
//
//	[2006-01-02T15:04:05,000][INFO ][o.e.n.Node      ] [node-1] message    Elasticsearch
//	[2006-01-02 15:04:05.000][1][info][main] [source/file.cc:12] message   Envoy
func (h *head) adjacent() {
	p := h.text
	for _, name := range [...]string{"logger", "thread", "context"} {
		if h.at >= len(p) || p[h.at] != '[' {
			break
		}
		next := h.enclosed(name, h.at, ']')
		if next == 0 {
			return
		}
		h.at = next
	}
	h.at = skipSigns(p, h.at)
	if h.at >= len(p) || p[h.at] != '[' {
		return
	}
	size := bytes.IndexByte(p[h.at:min(len(p), h.at+longestPart)], ']')
	if size < 0 {
		return
	}
	inside := p[h.at+1 : h.at+size]
	switch {
	case isCaller(inside):
		h.format = event.FormatEnvoy
		h.add("caller", h.at+1, h.at+size)
	case h.boxed && !h.has("pid") && isPlainName(inside) && inside[0] != '_': // no field of Elasticsearch's own
		h.format = event.FormatElasticsearch
		h.add("node", h.at+1, h.at+size)
	default:
		return
	}
	h.at = skipBlanks(p, h.at+size+1)
}

// tabbed reads zap's console lines: level, name, caller and message between tabs.
func (h *head) tabbed() {
	p := h.text
	h.format = event.FormatZapConsole
	h.at++
	for range 2 {
		end := bytes.IndexByte(p[h.at:min(len(p), h.at+longestPart)], '\t')
		if end < 1 || h.at+end+1 >= len(p) || p[h.at+end+1] == '{' {
			return
		}
		piece := p[h.at : h.at+end]
		switch {
		case isCaller(piece):
			h.add("caller", h.at, h.at+end)
		case isPlainName(piece):
			h.add("logger", h.at, h.at+end)
		default:
			return
		}
		h.at += end + 1
	}
}

// spring reads what Spring Boot's versions write:
//
//	INFO 123 --- [           main] o.s.Class     : message
//	INFO 123 --- [app] [main] [trace-span] o.s.Class     : message
//	INFO [app,trace,span] 123 --- [main] o.s.Class     : message
func (h *head) spring(at int) bool {
	p := h.text
	if at < len(p) && p[at] == '[' {
		if end := bytes.IndexByte(p[at:min(len(p), at+longestPart+64)], ']'); end > 0 && h.contextIDs(at+1, at+end) {
			at = skipBlanks(p, at+end+1)
		}
	}
	end := at
	for end < len(p) && isDigit(p[end]) {
		end++
	}
	if end == at || !bytes.HasPrefix(p[end:], []byte(" --- ")) {
		return false
	}
	var boxes [4][2]int
	n := 0
	next := end + len(" --- ")
	for n < len(boxes) && next < len(p) && p[next] == '[' {
		size := bytes.IndexByte(p[next:min(len(p), next+longestPart+64)], ']')
		if size < 0 {
			return false
		}
		if inside := bytes.TrimSpace(p[next+1 : next+size]); len(inside) > 0 && !h.contextIDs(next+1, next+size) {
			boxes[n] = [2]int{next + 1, next + size}
			n++
		}
		next = skipBlanks(p, next+size+1)
	}
	stop := wordEnd(p, next)
	colon := skipBlanks(p, stop)
	if colon >= len(p) || p[colon] != ':' {
		return false
	}
	h.format = event.FormatSpringBoot
	h.add("pid", at, end)
	if n > 1 {
		h.service(boxes[0][0], boxes[0][1])
	}
	if n > 0 {
		h.add("thread", boxes[n-1][0], boxes[n-1][1])
	}
	h.add("logger", next, stop)
	h.at = skipBlanks(p, colon+1)
	return true
}

func (h *head) service(start, end int) {
	h.rec.Service = event.Value{Span: h.span(start, end), Kind: event.Text}
}

// contextIDs reads trace-span, trace,span and app,trace,span[,exported], and
// reports whether the text is nothing else.
func (h *head) contextIDs(start, end int) bool {
	if end-start < 16 && h.text[end-1] != ',' {
		return false
	}
	name, found := recognize.TraceContext(h.rec, h.text[start:end])
	if !found {
		return false
	}
	if name > 0 {
		h.service(start, start+name)
	}
	return true
}

// processThread reads nginx's 31#31: *5.
func (h *head) processThread(at int) bool {
	p := h.text
	hash := at
	for hash < len(p) && isDigit(p[hash]) {
		hash++
	}
	if hash == at || hash >= len(p) || p[hash] != '#' {
		return false
	}
	end := hash + 1
	for end < len(p) && isDigit(p[end]) {
		end++
	}
	if end+1 >= len(p) || p[end] != ':' {
		return false
	}
	h.format = event.FormatNginxError
	h.add("pid", at, hash)
	h.add("thread", hash+1, end)
	h.at = skipBlanks(p, end+1)
	if h.at < len(p) && p[h.at] == '*' {
		if end := wordEnd(p, h.at); isNumber(p[h.at+1:end]) && end+1 < len(p) {
			h.add("connection", h.at+1, end)
			h.at = end + 1
		}
	}
	return true
}

// inModule reads Flask's "in module: message".
func (h *head) inModule(at int) bool {
	p := h.text
	if !h.boxed || !bytes.HasPrefix(p[at:], []byte("in ")) {
		return false
	}
	end := at + 3
	for end < len(p) && isNameByte(p[end]) && p[end] != ':' {
		end++
	}
	if !bytes.HasPrefix(p[end:], []byte(": ")) {
		return false
	}
	h.add("logger", at+3, end)
	h.at = end + 2
	return true
}

// namesBehind reads groups in brackets and names, up to what separates them from the
// message. sure says that they are no part of the message.
func (h *head) namesBehind(at int) (next int, sure bool) {
	p := h.text
	grouped, names := false, 0
	surely := 0 // where the message starts at the latest
	for range 5 {
		start := at
		switch {
		case at < len(p) && (p[at] == '[' || p[at] == '(' || p[at] == '<'):
			end, certain := h.group(at)
			if end == 0 {
				return surely, surely > 0
			}
			if h.format == event.FormatRabbitMQ {
				return skipBlanks(p, end), true
			}
			at, grouped = end, true
			if certain {
				surely = skipSeparators(p, at)
			}
		case names == 0 && h.format != event.FormatApacheError && !h.has("logger"):
			end, signs := scanName(p[:min(len(p), at+longestPart)], at)
			if end < len(p) && p[end] == '=' && recognize.KeyOf(p[at:end]).IsID() {
				at = skipBlanks(p, wordEnd(p, end)) // it is found otherwise
				continue
			}
			for end > at && p[end-1] == ':' {
				end--
			}
			if end == at {
				return surely, surely > 0
			}
			at = end
			names++
			named := signs && endsName(p[start:end])
			if h.separated(start, at, named, grouped) {
				h.addName(start, at)
				return skipSeparators(p, at), true
			}
			if !named {
				return surely, surely > 0
			}
			if grouped && h.text[2] == '-' && h.text[6] == '-' { // Tomcat: 02-Jan-2006
				h.addName(start, at)
				return skipBlanks(p, at), true
			}
			if !h.groupFollows(at) {
				return surely, surely > 0
			}
			h.addName(start, at)
			if bytes.Count(p[start:end], []byte(".")) > 1 {
				surely = skipBlanks(p, at)
			}
		default:
			return surely, surely > 0
		}
		rest := skipBlanks(p, at)
		if rest+1 < len(p) && p[rest] == '-' && p[rest+1] == ' ' {
			return rest + 2, true
		}
		if rest+1 < len(p) && p[rest] == ':' && p[rest+1] == ' ' && grouped && names == 0 {
			return rest + 2, true
		}
		at = rest
	}
	return surely, surely > 0
}

// groupFollows reports whether [, as of a thread, stands behind a name; OpenStack's request
// has its own.
func (h *head) groupFollows(at int) bool {
	at = skipBlanks(h.text, at)
	return at < len(h.text) && h.text[at] == '['
}

func (h *head) addName(start, end int) {
	if isCaller(h.text[start:end]) {
		h.add("caller", start, end)
		return
	}
	h.add("logger", start, end)
}

// separated reports whether a sign behind a name says that it is not a word of the message.
func (h *head) separated(start, end int, named, grouped bool) bool {
	p := h.text
	word := p[start:end]
	named = named || isCaller(word)
	if end+1 < len(p) && p[end] == ':' && p[end+1] == ' ' {
		return named && !isThrowable(word) || h.plainNames() && isPlainName(word)
	}
	at := skipBlanks(p, end)
	if at == end && at < len(p) && p[at] != '|' || at+1 >= len(p) || p[at+1] != ' ' && p[at] != '|' {
		return false
	}
	switch p[at] {
	case '-':
		return named || grouped || h.boxed && h.boxedLevel
	case ':', '>':
		return true
	case '|':
		return start > 1 && (p[start-1] == '|' || p[start-2] == '|')
	}
	return false
}

// plainNames reports whether the head is of a kind that always names its logger,
// even by a plain word: hclog's, which has milliseconds and the level in brackets,
// that of Rust's tracing, which has microseconds, and those of etcd and ClickHouse.
func (h *head) plainNames() bool {
	p := h.text
	switch {
	case h.format == event.FormatRust, h.format == event.FormatClickHouse, h.packaged:
		return true
	case h.zulu && h.boxedLevel:
		return len(p) > 24 && p[23] == 'Z'
	case h.zulu:
		return len(p) > 27 && p[26] == 'Z'
	}
	return false
}

// isThrowable reports whether a name is one of an exception, with which messages begin.
func isThrowable(p []byte) bool {
	return bytes.HasSuffix(p, []byte("Exception")) || bytes.HasSuffix(p, []byte("Error"))
}

func skipSeparators(p []byte, at int) int {
	at = skipBlanks(p, at)
	if at < len(p) && (p[at] == '-' || p[at] == ':' || p[at] == '|' || p[at] == '>') {
		at = skipBlanks(p, at+1)
	}
	return at
}

// group reads what stands in brackets. It is certain if it can hardly be a part of the message.
func (h *head) group(at int) (next int, certain bool) {
	p := h.text
	size := bytes.IndexByte(p[at:min(len(p), at+2*longestPart)], closing(p[at]))
	if size < 0 {
		return 0, false
	}
	start, end := at+1, at+size
	inside := bytes.TrimSpace(p[start:end])
	next = end + 1
	switch {
	case len(inside) == 0:
		return next, false
	case string(inside) == "main" && p[at] == '[':
		h.add("thread", start, end)
		return next, true
	case p[at] == '<':
		if !isPid(inside) {
			return 0, false
		}
		h.format = event.FormatRabbitMQ
		h.add("pid", start, end)
		return next, true
	case p[at] == '(':
		return h.parens(start, end, next)
	case h.contextIDs(start, end):
		return next, true
	case bytes.IndexByte(inside, '=') > 0 && h.pairs(start, end):
		return next, true
	case bytes.HasPrefix(inside, []byte("MY-")):
		h.format = event.FormatMySQL
		h.add("error_code", start, end)
		return next, true
	case h.format == event.FormatMySQL:
		h.add("subsystem", start, end)
		return next, true
	case h.format == event.FormatApacheError && h.apacheBox(start, end):
		return next, true
	case isCaller(inside):
		h.nameLogger()
		h.add("caller", start, end)
		return next, true
	case isLogger(inside) && !h.has("logger"):
		h.add("logger", start, end)
		return next, true
	case len(inside) > longestPart, bytes.HasPrefix(inside, []byte("req-")), bytes.Contains(inside, []byte(" req-")):
		return 0, false
	}
	h.inBox(start, end, inside)
	return next, isThread(inside)
}

// nameLogger makes a logger of the name before a caller, unless threads are called so.
func (h *head) nameLogger() {
	if h.n == 0 || h.has("logger") {
		return
	}
	if last := &h.parts[h.n-1]; last.name == "thread" && !isThread(h.text[last.start:last.end]) {
		last.name = "logger"
	}
}

// parens reads (thread), beside a logger in brackets, and (pid).
func (h *head) parens(start, end, next int) (int, bool) {
	p := h.text
	if next < len(p) && p[next] != ' ' && p[next] != ':' {
		return 0, false
	}
	inside := p[start:end]
	if slash := bytes.LastIndexByte(inside, '/'); slash > 0 {
		inside = inside[slash+1:]
	}
	if isNumber(inside) {
		h.add("pid", end-len(inside), end)
		return next, true
	}
	h.add("thread", start, end)
	box := skipBlanks(p, next)
	certain := h.has("logger") || box < len(p) && p[box] == '['
	if h.has("logger") && h.format == event.FormatText {
		h.format = event.FormatQuarkus
	}
	return next, certain
}

// pairs reads key=value key=value, of which the trace ids are found otherwise.
func (h *head) pairs(start, end int) bool {
	before := h.n
	for at := start; at < end; {
		stop := at
		for stop < end && h.text[stop] != ' ' && h.text[stop] != ',' {
			stop++
		}
		sign := bytes.IndexByte(h.text[at:stop], '=')
		if sign < 1 || !isPlainName(h.text[at:at+sign]) {
			h.n = before
			return false
		}
		if at+sign+1 < stop {
			h.pair(at, at+sign, stop)
		}
		for at = stop; at < end && (h.text[at] == ' ' || h.text[at] == ','); at++ {
		}
	}
	return true
}

// apacheBox reads [pid 12:tid 34] and [client 10.0.0.1:5000].
func (h *head) apacheBox(start, end int) bool {
	p := h.text[start:end]
	switch {
	case bytes.HasPrefix(p, []byte("pid ")):
		tid := bytes.Index(p, []byte(":tid "))
		if tid < 0 {
			h.add("pid", start+4, end)
			return true
		}
		h.add("pid", start+4, start+tid)
		h.add("thread", start+tid+5, end)
		return true
	case bytes.HasPrefix(p, []byte("client ")):
		h.add("client", start+7, end)
		return true
	}
	return false
}

// trailer reads the class that Kafka writes at the end of its lines, and the class and
// thread that ActiveMQ does: "| message | class | thread".
func (h *head) trailer() {
	p := h.text
	if h.at > 2 && p[h.at-2] == '|' {
		thread := bytes.LastIndex(p[h.at:], []byte(" | ")) + h.at
		class := bytes.LastIndex(p[h.at:max(h.at, thread)], []byte(" | ")) + h.at
		if class > h.at && isLogger(p[class+3:thread]) {
			h.add("logger", class+3, thread)
			h.add("thread", thread+3, len(p))
			h.end = class
		}
		return
	}
	if !h.boxed || h.n > 0 || len(p) == 0 || p[len(p)-1] != ')' {
		return
	}
	open := bytes.LastIndexByte(p[max(h.at, len(p)-longestPart):], '(') + max(h.at, len(p)-longestPart)
	if open > h.at && p[open-1] == ' ' && isLogger(p[open+1:len(p)-1]) {
		h.format = event.FormatKafka
		h.add("logger", open+1, len(p)-1)
		h.end = open - 1
	}
}

func closing(open byte) byte {
	switch open {
	case '(':
		return ')'
	case '<':
		return '>'
	}
	return ']'
}
