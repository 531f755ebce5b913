package alerts

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/longshore/longshore/pipeline"
)

// A silence is when an alert does not ring: between two moments, or two minutes of the day.
type silence struct {
	from, until time.Time // zero for none
	daily       bool
	begin, end  int // minutes of the day
	days        []time.Weekday
	zone        *time.Location
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// newSilence returns the name of the setting that is wrong with an error.
func newSilence(s pipeline.Silence) (made silence, path string, err error) {
	if made.zone, err = time.LoadLocation(s.Zone); err != nil {
		return made, "zone", fmt.Errorf("there is no time zone %q here; write one like Europe/Berlin, or UTC", s.Zone)
	}
	for i, day := range s.Days {
		k := slices.Index(weekdays, strings.ToLower(day))
		if k < 0 {
			return made, fmt.Sprintf("days[%d]", i), fmt.Errorf("is none of %s", strings.Join(weekdays, ", "))
		}
		made.days = append(made.days, time.Weekday(k))
	}
	begin, beginErr := time.Parse("15:04", s.From)
	end, endErr := time.Parse("15:04", s.Until)
	switch {
	case s.From == "" && s.Until == "" && len(s.Days) > 0:
		made.daily, made.end = true, minutesOfDay
		return made, "", nil
	case beginErr == nil && endErr == nil:
		made.daily, made.begin, made.end = true, minuteOf(begin), minuteOf(end)
		if made.end <= made.begin {
			made.end += minutesOfDay
		}
		return made, "", nil
	case beginErr == nil || endErr == nil:
		return made, "until", errors.New("must be an hour of the day where from is one, and a time where from is none")
	case len(s.Days) > 0:
		return made, "days", errors.New("must have hours of the day as from and until, or neither")
	}
	if made.from, err = parseMoment(s.From); err != nil {
		return made, "from", err
	}
	if made.until, err = parseMoment(s.Until); err != nil {
		return made, "until", err
	}
	if s.Until == "" {
		return made, "", errors.New("must have an end (until)")
	}
	if !made.until.After(made.from) {
		return made, "until", errors.New("is not after from")
	}
	return made, "", nil
}

const minutesOfDay = 24 * 60

func minuteOf(t time.Time) int { return t.Hour()*60 + t.Minute() }

func parseMoment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%q is neither a time like 2026-12-24T06:00:00Z nor an hour of the day like 22:00", text)
	}
	return at, nil
}

// holds reports whether it is silent at a time.
func (s *silence) holds(at time.Time) bool {
	if !s.daily {
		return at.Before(s.until) && !at.Before(s.from)
	}
	local := at.In(s.zone)
	return s.covers(local.Weekday(), minuteOf(local)) ||
		s.covers((local.Weekday()+6)%7, minuteOf(local)+minutesOfDay) // it has begun the day before
}

func (s *silence) covers(day time.Weekday, minute int) bool {
	return minute >= s.begin && minute < s.end && (len(s.days) == 0 || slices.Contains(s.days, day))
}
