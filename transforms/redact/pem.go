package redact

import "bytes"

// headLen bounds the header of a private key.
const headLen = 128

// privateKey finds a PEM block with a private key (RFC 7468), up to its end or that of the string
// it is in.
func privateKey(p []byte, start, end int) (finding, bool) {
	head := p[end:min(len(p), end+headLen)]
	dashes := bytes.Index(head, []byte("-----"))
	if dashes < 0 || !bytes.HasSuffix(head[:dashes], []byte("PRIVATE KEY")) &&
		!bytes.HasSuffix(head[:dashes], []byte("PRIVATE KEY BLOCK")) {
		return finding{}, false
	}
	to := len(p)
	if quote := bytes.IndexByte(p[end:], '"'); quote >= 0 {
		to = end + quote - slashesBefore(p, end+quote, end)
	}
	if last := bytes.Index(p[end:to], []byte("-----END")); last >= 0 {
		last += end + len("-----END")
		if dashes := bytes.Index(p[last:min(to, last+headLen)], []byte("-----")); dashes >= 0 {
			to = last + dashes + len("-----")
		}
	}
	return finding{from: start, to: to}, true
}

// keyHeads are the base64 of what private keys begin with: the ASN.1 of RSA and others of 256 bytes
// and more, of P-256, P-384 and P-521 (RFC 5915, 5958), of Ed25519 (RFC 8410), and of OpenSSH's.
var keyHeads = [][]byte{[]byte("MII"), []byte("MHcCAQEE"), []byte("MIGkAgEBB"), []byte("MIHcAgEBB"), []byte("MIGHAgEA"),
	[]byte("MIG2AgEA"), []byte("MIHuAgEA"), []byte("MC4CAQAw"), []byte("b3BlbnNzaC1rZXkt")}

const (
	minKeyHead = 16
	// minChanges are fewer changes between capitals, small letters, digits and signs than base64 of
	// random bytes ever has in a line, and more than words have.
	minChanges = 24
)

// mayBeKeyLine rules out most texts. See isKeyLine.
func mayBeKeyLine(p []byte) bool {
	return len(p) >= minKeyHead && (p[0] == 'M' || p[0] == 'b' || p[0] <= ' ' || len(p) >= 64 && len(p) <= 80)
}

// isKeyLine reports whether a text is one line of a private key's base64. Lines of a key that are
// records of their own are recognised by their form alone, as a replay may begin with any of them:
// a first line by what keys begin with, others by the lengths at which PEM breaks lines (RFC 7468:
// 64, OpenSSH: 70, MIME: 76).
func isKeyLine(p []byte) bool {
	isFull := len(p) == 64 || len(p) == 70 || len(p) == 76
	if len(p) < minKeyHead || !isFull && p[0] != 'M' && p[0] != 'b' {
		return false
	}
	isFirst := false
	for _, head := range keyHeads {
		isFirst = isFirst || bytes.HasPrefix(p, head)
	}
	if !isFirst && !isFull {
		return false
	}
	body := bytes.TrimRight(p, "=")
	if len(p)-len(body) > 2 {
		return false
	}
	changes, beyondHex := 0, false
	for i, c := range body {
		class := classOfBase64(c)
		if class == 0 {
			return false
		}
		changes += boolToInt(i > 0 && class != classOfBase64(body[i-1]))
		beyondHex = beyondHex || hexDigit(c) < 0
	}
	return isFirst || changes >= minChanges && beyondHex
}

func classOfBase64(c byte) byte {
	switch {
	case isUpper(c):
		return 1
	case isDigit(c):
		return 2
	case c >= 'a' && c <= 'z':
		return 3
	case c == '+' || c == '/':
		return 4
	}
	return 0
}
