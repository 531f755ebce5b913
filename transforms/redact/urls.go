package redact

import "bytes"

// passwordsBeforeAt finds passwords before an @: scheme://user:password@host,
// user:password@tcp(host) as of Go's drivers, thin:user/password@host as of Oracle's.
func passwordsBeforeAt(p []byte, found []finding) []finding {
	last := -1 // the @ before
	var lastFrom int
	for at := bytes.IndexByte(p, '@'); at >= 0; {
		from := passwordBefore(p, at, last, lastFrom)
		if from > 0 && !isHarmless(p[from:at]) {
			found = append(found, finding{from: from, to: at})
		}
		next := bytes.IndexByte(p[at+1:], '@')
		if next < 0 {
			break
		}
		last, lastFrom, at = at, from, at+1+next
	}
	return found
}

// passwordBefore returns where the password before an @ begins, or 0. If nothing ends the URL since
// the last @, that is part of the password.
func passwordBefore(p []byte, at, last, lastFrom int) int {
	colon, path := 0, 0 // of those before the @ the first
	i := at - 1
	for ; i > last; i-- {
		switch c := p[i]; {
		case endsRun[c] && c != '&' && c != ';' && c != ',':
			return passwordOfDriver(p, i+1, at)
		case c == ':':
			colon = i + 1
		case c == '/' && i >= 3 && p[i-1] == '/' && p[i-2] == ':' && isAlnum(p[i-3]):
			return passwordOfURL(p, i+1, colon, path, at)
		case c == '/' || c == '?' || c == '#':
			path = i
		}
	}
	switch {
	case last < 0:
		return passwordOfDriver(p, 0, at)
	case path > 0:
		return 0
	}
	return lastFrom
}

// passwordOfURL returns where the password begins if the colon is behind a user, and what looks
// like a path belongs to the password: http://host:80/a@b has none.
func passwordOfURL(p []byte, from, colon, path, at int) int {
	switch {
	case colon == 0 || path == 0:
		return colon
	case path < colon || p[from] == '[' || isDigits(p[colon:path]) || isHarmless(p[colon:path]):
		return 0
	}
	return colon
}

// passwordOfDriver returns where the password begins in a data source's name without a scheme.
func passwordOfDriver(p []byte, from, at int) int {
	name := p[from:at]
	if equals := bytes.IndexByte(name, '='); equals >= 0 { // dsn=ann:…@tcp(db)
		from += equals + 1
		name = p[from:at]
	}
	if isAddress(p[at+1:]) {
		if colon := bytes.IndexByte(name, ':'); colon > 0 {
			return from + colon + 1
		}
	}
	slash := bytes.IndexByte(name, '/')
	if slash <= 0 {
		return 0
	}
	user := name[:slash]
	if colon := bytes.LastIndexByte(user, ':'); colon > 0 {
		if endsInAny(user[:colon], "thin", "oci", "oci8") {
			return from + slash + 1
		}
		return 0
	}
	if before := bytes.TrimRight(p[:from], " "); len(before) < from &&
		endsInAny(before, "sqlplus", "sqlldr", "expdp", "impdp", "rman target", "connect") {
		return from + slash + 1
	}
	return 0
}

// isAddress reports whether a text begins with an address of Go's MySQL driver: tcp(db:3306)/shop.
func isAddress(p []byte) bool {
	at := 0
	for at < len(p) && isAlnum(p[at]) {
		at++
	}
	return at > 0 && at < len(p) && p[at] == '('
}
