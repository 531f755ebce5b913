package recognize

import "bytes"

// farthestBox bounds where the time of an access log stands.
const farthestBox = 200

// AccessTime returns the index of the bracket before the time of an access log, as Apache and those
// after it write it, whatever stands before; it is negative if there is none.
//
//	shop.example.com:443 10.0.0.1 - - [02/Jan/2006:15:04:05 -0700] "GET /
func AccessTime(p []byte) int {
	for at := 0; at < farthestBox; at++ {
		size := bytes.IndexByte(p[at:min(len(p), farthestBox)], '[')
		if size < 0 {
			break
		}
		at += size
		if len(p) > at+22 && p[at+3] == '/' && p[at+7] == '/' && isDigit(p[at+1]) &&
			(p[at+12] == ':' || p[at+12] == ' ') {
			return at
		}
	}
	return -1
}
