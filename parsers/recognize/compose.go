package recognize

// LongestPrefix bounds what docker compose writes before a line.
const LongestPrefix = 64

// ComposePrefix returns the length of what docker compose writes before each line of a container's,
// 0 if there is nothing: its name with a number, filled up with blanks, and a bar.
//
//	web-1  | text
//	web_1  | text        of the first version
//	web    | {"a":"b"}   of a container that has a name of its own
func ComposePrefix(p []byte) int {
	end := 0
	for end < len(p) && end < LongestPrefix && (isWordByte(p[end]) || p[end] == '-' || p[end] == '.') {
		end++
	}
	number := end
	for number > 0 && '0' <= p[number-1] && p[number-1] <= '9' {
		number--
	}
	if number == end && !isJSON(p) || number < 2 || p[0] < 'a' || p[0] > 'z' {
		return 0
	}
	bar := end
	for bar < len(p) && bar < LongestPrefix && p[bar] == ' ' {
		bar++
	}
	if bar == end || bar == len(p) || p[bar] != '|' || bar+1 < len(p) && p[bar+1] != ' ' {
		return 0
	}
	if number < end && p[number-1] != '_' && p[number-1] != '-' || bar-end < 2 { // one blank has a table, too
		return 0
	}
	if number == end && (len(p) < bar+4 || p[bar+2] != '{' || p[bar+3] != '"') {
		return 0
	}
	return min(bar+2, len(p))
}

// isJSON reports whether a line ends as one with an object behind a prefix does. A container may
// have a name of its own, without a number: then only that tells its prefix from a table's column.
func isJSON(p []byte) bool { return len(p) > 8 && p[len(p)-1] == '}' }
