package redact

import (
	"bytes"
	"net/netip"
	"strings"
)

// personalData finds the configured kinds of personal data.
func (d *detector) personalData(p []byte, found []finding) []finding {
	if d.personal[email] {
		found = emails(p, found)
	}
	if d.personal[ip] {
		found = addresses(p, found)
	}
	if d.personal[card] {
		before := len(found)
		found = cards(p, found)
		quoteNumbers(p, found[before:])
	}
	if d.personal[iban] {
		found = ibans(p, found)
	}
	return found
}

// quoteNumbers adds quotes to findings, in ascending order, that are numbers in JSON: their
// replacement is none.
func quoteNumbers(p []byte, found []finding) {
	s := scanner{p: p}
	for i := range found {
		f := &found[i]
		before, after := len(bytes.TrimRight(p[:f.from], " ")), bytes.TrimLeft(p[f.to:min(len(p), f.to+4)], " ")
		if before > 0 && strings.IndexByte(":[,", p[before-1]) >= 0 && len(after) > 0 &&
			strings.IndexByte(",]}", after[0]) >= 0 && !s.insideString(f.from, 0) {
			f.quotes = quotes{char: '"'}
		}
	}
}

// The longest parts of an address (RFC 5321, 4.5.3.1).
const (
	maxLocal  = 64
	maxDomain = 255
)

// emails finds addresses with a domain of at least two labels.
func emails(p []byte, found []finding) []finding {
	for at := bytes.IndexByte(p, '@'); at >= 0; {
		from, to := at, at+1
		for from > 0 && at-from < maxLocal && inLocal(p[from-1]) {
			from--
		}
		from = pastEscape(p, from)
		for from < at && p[from] == '.' {
			from++
		}
		for to < len(p) && to-at <= maxDomain && (isAlnum(p[to]) || p[to] == '-' || p[to] == '.') {
			to++
		}
		for to > at+1 && (p[to-1] == '.' || p[to-1] == '-') {
			to--
		}
		if from < at && hasTopLevel(p[at+1:to]) {
			found = append(found, finding{from: from, to: to, kind: email})
		}
		next := bytes.IndexByte(p[at+1:], '@')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return found
}

// pastEscape skips the rest of an escape, such as the n of .
func pastEscape(p []byte, from int) int {
	switch {
	case from == 0 || p[from-1] != '\\':
		return from
	case p[from] == 'u' && from+5 <= len(p):
		return from + 5
	}
	return from + 1
}

func inLocal(c byte) bool {
	return isAlnum(c) || c == '.' || c == '_' || c == '-' || c == '+' || c == '%'
}

// hasTopLevel reports whether a domain ends in a label of two letters or more.
func hasTopLevel(domain []byte) bool {
	dot := bytes.LastIndexByte(domain, '.')
	if dot < 1 || len(domain)-dot < 3 {
		return false
	}
	for _, c := range domain[dot+1:] {
		if c >= '0' && c <= '9' || c == '-' {
			return false
		}
	}
	return true
}

// addresses finds IPv4 and IPv6 addresses, except unspecified and loopback ones. Versions of four
// numbers look the same.
func addresses(p []byte, found []finding) []finding {
	for at := 0; at < len(p); {
		if !inAddress(p[at]) {
			at++
			continue
		}
		from := at
		var dots, colons int
		for at < len(p) && inAddress(p[at]) {
			dots, colons = dots+boolToInt(p[at] == '.'), colons+boolToInt(p[at] == ':')
			at++
		}
		if at-from > 64 || dots < 3 && colons < 2 || !atBoundary(p, from) || at < len(p) && isAlnum(p[at]) {
			continue
		}
		if s, e := address(p[from:at]); e > 0 {
			found = append(found, finding{from: from + s, to: from + e, kind: ip})
		}
	}
	return found
}

func boolToInt(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func inAddress(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' || c == '.' || c == ':'
}

// address returns where an address is in a run of its characters, without a port or the end of a
// sentence.
func address(run []byte) (from, to int) {
	text := bytes.TrimRight(run, ".:")
	trimmed := bytes.TrimLeft(text, ".")
	from = len(text) - len(trimmed)
	for _, candidate := range [][]byte{trimmed, beforePort(trimmed), run} {
		a, err := netip.ParseAddr(string(candidate))
		if err == nil && !a.IsLoopback() && !a.IsUnspecified() {
			return from, from + len(candidate)
		}
	}
	return 0, 0
}

func beforePort(p []byte) []byte {
	if colon := bytes.LastIndexByte(p, ':'); colon > 0 {
		return p[:colon]
	}
	return p
}

// cards finds payment card numbers: 13 to 19 digits, perhaps with blanks or dashes between them,
// with a card's first digits and a valid check digit (ISO/IEC 7812).
func cards(p []byte, found []finding) []finding {
	for at := 0; at < len(p); {
		if p[at] < '0' || p[at] > '9' {
			at++
			continue
		}
		from := at
		var number [20]byte
		n := 0
		for at < len(p) && (isDigit(p[at]) || (p[at] == ' ' || p[at] == '-') && at+1 < len(p) && isDigit(p[at+1])) {
			if isDigit(p[at]) {
				if n < len(number) {
					number[n] = p[at] - '0'
				}
				n++
			}
			at++
		}
		alone := atBoundary(p, from) && (from == 0 || p[from-1] != '.' && p[from-1] != '-') &&
			(at == len(p) || !isAlnum(p[at]) && p[at] != '_')
		if alone && n >= 13 && n <= 19 && isCard(number[:n]) && luhn(number[:n]) {
			found = append(found, finding{from: from, to: at, kind: card})
		}
	}
	return found
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isCard reports whether a number has the first digits and the length of a card network's.
func isCard(n []byte) bool {
	head := int(n[0])*1000 + int(n[1])*100 + int(n[2])*10 + int(n[3])
	switch length := len(n); {
	case head/1000 == 4: // Visa
		return length == 13 || length == 16 || length == 19
	case head/100 >= 51 && head/100 <= 55, head >= 2221 && head <= 2720: // Mastercard
		return length == 16
	case head/100 == 34, head/100 == 37: // American Express
		return length == 15
	case head == 6011, head/100 == 65, head/10 >= 644 && head/10 <= 649: // Discover
		return length >= 16
	case head >= 3528 && head <= 3589: // JCB
		return length >= 16
	case head/10 >= 300 && head/10 <= 305, head/100 == 36, head/100 == 38: // Diners
		return length == 14 || length == 16
	case head/100 == 62: // UnionPay
		return length >= 16
	}
	return false
}

// luhn checks the check digit (ISO/IEC 7812-1, annex B).
func luhn(n []byte) bool {
	sum := 0
	for i := range n {
		d := int(n[len(n)-1-i])
		if i%2 == 1 {
			d *= 2
			if d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// ibans finds bank accounts: a country, two check digits and up to 30 more letters and digits,
// perhaps in groups of four (ISO 13616).
func ibans(p []byte, found []finding) []finding {
	for at := 0; at+15 <= len(p); at++ {
		if !isUpper(p[at]) || !isUpper(p[at+1]) || !isDigit(p[at+2]) || !isDigit(p[at+3]) || !atBoundary(p, at) {
			continue
		}
		if to := ibanEnd(p, at); to > 0 {
			found = append(found, finding{from: at, to: to, kind: iban})
			at = to - 1
		}
	}
	return found
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

const minIBAN, maxIBAN = 15, 34

// ibanEnd returns the index behind the longest IBAN at an index, or 0.
func ibanEnd(p []byte, from int) int {
	var account [maxIBAN]byte
	n, to := 0, 0
	for at := from; at < len(p) && n < maxIBAN; at++ {
		if p[at] == ' ' && n%4 == 0 && at+1 < len(p) && (isUpper(p[at+1]) || isDigit(p[at+1])) {
			continue
		}
		if !isUpper(p[at]) && !isDigit(p[at]) {
			break
		}
		account[n] = p[at]
		n++
		ends := at+1 == len(p) || !isAlnum(p[at+1])
		if n >= minIBAN && ends && mod97(account[:n]) {
			to = at + 1
		}
	}
	return to
}

// mod97 checks the check digits (ISO/IEC 7064, MOD 97-10).
func mod97(account []byte) bool {
	rest := 0
	for i := range account {
		c := account[(i+4)%len(account)]
		if isDigit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	return rest == 1
}
