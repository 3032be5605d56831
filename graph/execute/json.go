package execute

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
)

const hex = "0123456789abcdef"

// plain tells of each byte whether it stands for itself in a JSON string.
var plain = func() (plain [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// String appends s as a JSON string. Bytes which are no UTF-8 become U+FFFD.
func String(b []byte, s string) []byte {
	b = append(b, '"')
	done := 0
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if escape := r < utf8.RuneSelf || r == utf8.RuneError && size == 1 || r == '\u2028' || r == '\u2029'; escape {
			b = appendEscaped(append(b, s[done:i]...), r)
			done = i + size
		}
		i += size
	}
	return append(append(b, s[done:]...), '"')
}

func appendEscaped(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	default:
		return append(b, '\\', 'u', hex[r>>12&0xF], hex[r>>8&0xF], hex[r>>4&0xF], hex[r&0xF])
	}
}

// Bool appends true or false.
func Bool(b []byte, v bool) []byte { return strconv.AppendBool(b, v) }

// Int appends an integer of any size.
func Int[T ~int | ~int8 | ~int16 | ~int32 | ~int64](b []byte, v T) []byte {
	return strconv.AppendInt(b, int64(v), 10)
}

// Float appends a number, or null for those which JSON does not know.
func Float(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// Time appends an instant as a JSON string: RFC 3339 in UTC, always with six
// digits of the second's fraction.
func Time(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return append(b, "null"...)
	}
	hour, minute, second := t.Clock()
	b = append(b, '"')
	b = digits(b, year, 4, '-')
	b = digits(b, int(month), 2, '-')
	b = digits(b, day, 2, 'T')
	b = digits(b, hour, 2, ':')
	b = digits(b, minute, 2, ':')
	b = digits(b, second, 2, '.')
	b = digits(b, t.Nanosecond()/1000, 6, 'Z')
	return append(b, '"')
}

// digits appends n in the given width, and what comes after it.
func digits(b []byte, n, width int, after byte) []byte {
	b = append(b, "000000"[:width]...)
	for i := len(b) - 1; n > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return append(b, after)
}

// Raw appends what is JSON already; nothing at all is null.
func Raw(b []byte, v json.RawMessage) []byte {
	if len(v) == 0 {
		return append(b, "null"...)
	}
	return append(b, v...)
}

// Nullable appends what v points to by write, or null.
func Nullable[T any](b []byte, v *T, write func([]byte, T) []byte) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	return write(b, *v)
}

// List appends the elements by write; a nil list is an empty one.
func List[T any](b []byte, list []T, write func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = write(b, v)
	}
	return append(b, ']')
}

// NullableList appends the elements by write; a nil list is null.
func NullableList[T any](b []byte, list []T, write func([]byte, T) []byte) []byte {
	if list == nil {
		return append(b, "null"...)
	}
	return List(b, list, write)
}

// Marshal appends what m writes, for types without a faster way.
func Marshal(b []byte, m graphql.Marshaler) []byte {
	w := appender{b}
	m.MarshalGQL(&w)
	return w.b
}

type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
