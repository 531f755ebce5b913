package recognize

// Names of months and days as programs write them in the languages of their machines.

// A month is a name's number.
type month int

// monthNames are the months' names and their common abbreviations, in small letters and without a
// dot: in English, German, French, Spanish, Italian, Portuguese, Dutch, Swedish, Danish, Norwegian
// and Polish, as the Unicode CLDR has them.
var monthNames = newMonthNames([12][]string{
	{"jan", "january", "januar", "jän", "jänner", "janv", "janvier", "ene", "enero", "gen", "gennaio", "janeiro",
		"januari", "sty", "stycznia"},
	{"feb", "february", "februar", "févr", "fév", "fevr", "février", "febrero", "febbraio", "fev", "fevereiro",
		"februari", "lut", "lutego"},
	{"mar", "march", "mär", "mrz", "märz", "mars", "marzo", "março", "mrt", "maart", "marts", "marca"},
	{"apr", "april", "avr", "avril", "abr", "abril", "aprile", "kwi", "kwietnia"},
	{"may", "mai", "mayo", "mag", "maggio", "maio", "mei", "maj", "maja"},
	{"jun", "june", "juni", "juin", "junio", "giu", "giugno", "junho", "cze", "czerwca"},
	{"jul", "july", "juli", "juil", "juillet", "julio", "lug", "luglio", "julho", "lip", "lipca"},
	{"aug", "august", "août", "aout", "ago", "agosto", "augustus", "augusti", "sie", "sierpnia"},
	{"sep", "sept", "september", "septembre", "septiembre", "set", "settembre", "setembro", "wrz", "września"},
	{"oct", "october", "okt", "oktober", "octobre", "octubre", "ott", "ottobre", "out", "outubro", "paź",
		"października"},
	{"nov", "november", "novembre", "noviembre", "novembro", "lis", "listopada"},
	{"dec", "december", "dez", "dezember", "déc", "decembre", "décembre", "dic", "diciembre", "dicembre",
		"dezembro", "des", "desember", "gru", "grudnia"},
})

func newMonthNames(names [12][]string) *table[month] {
	t := newTable[month](160)
	for k, spellings := range names {
		for _, name := range spellings {
			t.put(name, month(k+1))
		}
	}
	return t
}

// weekdays are the abbreviated names of days, alike.
var weekdays = newWeekdays(
	"mon", "tue", "wed", "thu", "fri", "sat", "sun",
	"mo", "di", "mi", "do", "fr", "sa", "so",
	"lun", "mar", "mer", "jeu", "ven", "sam", "dim",
	"mié", "jue", "vie", "sáb", "dom", "gio", "sab",
	"seg", "ter", "qua", "qui", "sex",
	"ma", "wo", "vr", "za", "zo",
	"mån", "tis", "ons", "tors", "tor", "fre", "lör", "sön", "man", "tir", "lør", "søn",
	"pon", "wto", "śro", "czw", "pią", "sob", "nie")

func newWeekdays(names ...string) *table[bool] {
	t := newTable[bool](64)
	for _, name := range names {
		t.put(name, true)
	}
	return t
}

// longestName is the length of "października".
const longestName = 14

// aName is the word that a text starts with, in small letters.
type aName struct {
	bytes [longestName]byte
	size  int
}

// read takes the letters at the start of p; there are none if they are too many.
func (n *aName) read(p []byte) {
	for n.size = 0; n.size < len(p); n.size++ {
		c := p[n.size]
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
			c |= 0x20
		case c >= 0xc3 && c <= 0xc5:
		case 0x80 <= c && c < 0xc0 && n.size > 0:
			if p[n.size-1] == 0xc3 { // À to Þ, of two bytes
				c |= 0x20
			}
		default:
			return
		}
		if n.size == longestName {
			n.size = 0
			return
		}
		n.bytes[n.size] = c
	}
}

func (n *aName) text() []byte { return n.bytes[:n.size] }

// monthAt returns the month whose name p starts with, in any of the languages, and the length of
// the name and of the dot that may stand behind it; 0 if there is none.
func monthAt(p []byte) (number, size int) {
	if number = monthOf(p); number > 0 && (len(p) < 4 || p[3] < 'A' && p[3] != '.') {
		return number, 3
	}
	var name aName
	if name.read(p); name.size < 3 {
		return 0, 0
	}
	found := monthNames.get(hash(name.text()), name.text())
	if found == nil {
		return 0, 0
	}
	if size = name.size; size < len(p) && p[size] == '.' {
		size++
	}
	return int(*found), size
}

// wordFirst reads what starts with the name of a month or a day that is not written as C does it:
//
//	January 2, 2006 15:04:05         also "janv. 02, 2006", "Mai 02, 2006 3:04:05 PM"
//	oct 02 15:04:05                  the syslog of AIX, the journal of other languages
//	lun. 02 janv. 2006 15:04:05      what date prints, also "Mo 2. Jan 15:04:05 CET 2006"
func (c *clock) wordFirst(p []byte) int {
	at := 0
	for at < len(p) && at < longestName && (p[at]|0x20 >= 'a' && p[at]|0x20 <= 'z' || p[at] >= 0x80) {
		at++
	}
	if at < 2 || at+11 > len(p) {
		return 0
	}
	end := at
	if p[at] == '.' || p[at] == ',' {
		at++
	}
	if p[at] != ' ' {
		return 0
	}
	if at++; p[at] == ' ' {
		at++
	}
	if !isDigit(p[at]) {
		return 0
	}
	if number, size := monthAt(p); number > 0 && p[size] == ' ' {
		used := c.monthFirst(p, false)
		if used > 0 && (c.year != noYear || isDigit(p[at+1]) && !isOtherWord(p[:end])) {
			return used
		}
	}
	var name aName
	if name.read(p[:end]); name.size < 2 || weekdays.get(hash(name.text()), name.text()) == nil {
		return 0
	}
	c.year = noYear
	used := c.dayFirst(p[at:])
	if used == 0 {
		return 0
	}
	if used += at; c.year == noYear {
		used = c.yearBehind(p, used, true)
	}
	if c.year == noYear {
		return 0
	}
	return used
}

// isOtherWord lists the months' names that are words of sentences, too: with those a date has a
// year.
func isOtherWord(name []byte) bool {
	switch string(name) {
	case "march", "set", "out", "mag", "gen", "lip", "lis", "des", "lug", "sie", "do", "so", "man":
		return true
	}
	return false
}
