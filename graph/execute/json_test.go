package execute_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"roster/graph/execute"
)

func TestString(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"":                      `""`,
		"plain <&> text":        `"plain <&> text"`,
		"a\"b\\c/":              `"a\"b\\c/"`,
		"\n\r\t\b\x00\x1f\x7f":  `"\n\r\t\u0008\u0000\u001f` + "\x7f" + `"`,
		"grüße 你好 😀":            `"grüße 你好 😀"`,
		"\u2028 and \u2029":     `"\u2028 and \u2029"`,
		"\xff cut \xe4\xbd":     `"\ufffd cut \ufffd\ufffd"`,
		"\ufffd is itself, too": "\"\ufffd is itself, too\"",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			if got := string(execute.AppendString(nil, s)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestStringIsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "valid") {
			s = rapid.String().Draw(t, "string")
		}
		var got string
		if err := json.Unmarshal(execute.AppendString(nil, s), &got); err != nil {
			t.Fatal(err)
		}
		var want strings.Builder
		for _, r := range s {
			want.WriteRune(r)
		}
		if got != want.String() {
			t.Fatalf("got %q, want %q", got, want.String())
		}
	})
}

func TestTime(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("Newfoundland", -12600)
	for want, at := range map[string]time.Time{
		`"2026-11-23T08:00:00.000000Z"`: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC),
		`"2026-01-02T06:34:05.000123Z"`: time.Date(2026, 1, 2, 3, 4, 5, 123999, zone),
		`"0001-01-01T00:00:00.000000Z"`: {},
		`"9999-12-31T23:59:59.999999Z"`: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
		`null`:                          time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			if got := string(execute.AppendTime(nil, at)); got != want {
				t.Errorf("%v: got %s, want %s", at, got, want)
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for want, got := range map[string][]byte{
		"-9223372036854775808": execute.AppendInt(nil, int64(math.MinInt64)),
		"0.1":                  execute.AppendFloat(nil, 0.1),
		"1e+21":                execute.AppendFloat(nil, 1e21),
		"null":                 execute.AppendFloat(nil, math.Inf(1)),
		"true":                 execute.AppendBool(nil, true),
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			if string(got) != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func BenchmarkString(b *testing.B) {
	for name, s := range map[string]string{
		"ascii":   "somebody.with.a.name@example.com",
		"unicode": "Jürgen Müller, 你好",
		"escapes": "\"quoted\"\nand broken",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 256)
			for b.Loop() {
				buf = execute.AppendString(buf[:0], s)
			}
		})
	}
}

func BenchmarkTime(b *testing.B) {
	b.ReportAllocs()
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	buf := make([]byte, 0, 256)
	for b.Loop() {
		buf = execute.AppendTime(buf[:0], at)
	}
}
