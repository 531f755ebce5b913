package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/longshore/longshore/pipeline"
)

// setScalar reads a text as the type of v. The error says what the text should
// have been, for a sentence that starts with the text.
func setScalar(v reflect.Value, text string) error {
	switch v.Type() {
	case durationType:
		d, err := pipeline.ParseDuration(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("is not a duration; write it like 500ms, 10s, 5m, 2h or 7d")
		}
		v.SetInt(int64(d))
		return nil
	case sizeType:
		size, err := pipeline.ParseSize(text)
		if err != nil {
			return fmt.Errorf("is not a size; write it like 512KiB, 1MiB or 10GB")
		}
		v.SetInt(int64(size))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		return setBool(v, text)
	case reflect.Int, reflect.Int32, reflect.Int64:
		return setInt(v, text)
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		return setUint(v, text)
	case reflect.Float64:
		return setFloat(v, text)
	default:
		return fmt.Errorf("cannot be read: longshore has a setting of the type %s, which is a problem in longshore",
			v.Type())
	}
	return nil
}

func setBool(v reflect.Value, text string) error {
	switch strings.ToLower(text) {
	case "true":
		v.SetBool(true)
	case "false":
		v.SetBool(false)
	default:
		return fmt.Errorf("is neither true nor false")
	}
	return nil
}

func setInt(v reflect.Value, text string) error {
	n, err := strconv.ParseInt(plainNumber(text), 10, v.Type().Bits())
	if err != nil {
		return fmt.Errorf("is not a whole number")
	}
	v.SetInt(n)
	return nil
}

func setUint(v reflect.Value, text string) error {
	n, err := strconv.ParseUint(plainNumber(text), 10, v.Type().Bits())
	if err != nil {
		return fmt.Errorf("is not a whole number from 0 up")
	}
	v.SetUint(n)
	return nil
}

func setFloat(v reflect.Value, text string) error {
	f, err := strconv.ParseFloat(plainNumber(text), 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return fmt.Errorf("is not a number")
	}
	v.SetFloat(f)
	return nil
}

// plainNumber leaves out the underscores that YAML allows in numbers.
func plainNumber(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "_", "")
}

// within says what is wrong with a value that is not within the limits of its setting.
func (s *setting) within(v reflect.Value) error {
	if s.min != "" && s.compare(v, s.min) < 0 {
		return fmt.Errorf("is too small; the least is %s", s.min)
	}
	if s.max != "" && s.compare(v, s.max) > 0 {
		return fmt.Errorf("is too large; the most is %s", s.max)
	}
	if len(s.enum) == 0 || v.Kind() != reflect.String {
		return nil
	}
	for _, known := range s.enum {
		if v.String() == known {
			return nil
		}
	}
	hint := ""
	if best := nearest(v.String(), s.enum); best != "" {
		hint = fmt.Sprintf("; did you mean %q?", best)
	}
	return fmt.Errorf("is not known; it is one of %s%s", list(s.enum, "and"), hint)
}

// compare returns -1, 0 or 1 as v is below, at or above a limit.
func (s *setting) compare(v reflect.Value, limit string) int {
	l := reflect.New(v.Type()).Elem()
	if setScalar(l, limit) != nil {
		return 0 // CheckSpec reports it
	}
	a, b := number(v), number(l)
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func number(v reflect.Value) float64 {
	switch {
	case v.CanInt():
		return float64(v.Int())
	case v.CanUint():
		return float64(v.Uint())
	case v.CanFloat():
		return v.Float()
	}
	return 0
}
