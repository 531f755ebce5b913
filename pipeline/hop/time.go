package hop

import "github.com/longshore/longshore/pipeline/event"

// parseTime reads a time as event.AppendTime writes it, into Unix nanoseconds. It takes nothing
// else: one that reads 30 February would not be written so again.
func parseTime(p []byte) (int64, bool) {
	const shape = "0000-00-00T00:00:00.000000000Z"
	if len(p) != 24 && len(p) != 27 && len(p) != len(shape) || p[len(p)-1] != 'Z' {
		return 0, false
	}
	for i, c := range p[:len(p)-1] {
		if digit := c >= '0' && c <= '9'; digit != (shape[i] == '0') || !digit && c != shape[i] {
			return 0, false
		}
	}
	days := event.Days(number(p[:4]), number(p[5:7]), number(p[8:10]))
	sec := days*86400 + number(p[11:13])*3600 + number(p[14:16])*60 + number(p[17:19])
	frac := p[20 : len(p)-1]
	nanos := number(frac)
	for n := len(frac); n < 9; n++ {
		nanos *= 10
	}
	ns := sec*1e9 + nanos
	var room [len(shape)]byte
	return ns, string(event.AppendTime(room[:0], ns)) == string(p)
}

func number(digits []byte) int64 {
	n := int64(0)
	for _, c := range digits {
		n = n*10 + int64(c-'0')
	}
	return n
}
