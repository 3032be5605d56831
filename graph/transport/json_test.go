package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzJSON holds the parser against encoding/json: what it takes, it takes the
// same way; what it does not take is refused by both, or for one of its reasons.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{
		`{}`, `[]`, `[1,2.5e-3,-0,true,false,null,"a",{"b":[]}]`, ` { "a" : 1 , "b" : "\u00e9\n\"" } `, `"\ud83d\ude00"`, `{"a":1,"a":2}`, `{"a":1,}`,
		`[1 2]`, `01`, `1.`, `-`, `+1`, `nul`, `"`, `"\x"`, "\"\t\"", "[\x00]", "1\x00", `[[[[[[`, `{"a"}`, `{1:2}`, `1 2`, "", " ", `"é"`, "\"\xff\"", `"\ud800"`, `NaN`,
		strings.Repeat("[", 65) + strings.Repeat("]", 65), strings.Repeat("[", 64) + strings.Repeat("]", 64),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseJSON(text)
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		var want any
		failed := decoder.Decode(&want)
		if _, rest := decoder.Token(); failed == nil && rest != io.EOF {
			failed = rest
			if rest == nil {
				failed = errNotJSON
			}
		}
		switch {
		case err == nil && failed != nil:
			t.Errorf("%q is taken as %v", text, got)
		case err == nil && (!reflect.DeepEqual(got, want) || !utf8.Valid(text)):
			t.Errorf("%q is %v, want %v", text, got, want)
		case errors.Is(err, errNotJSON) && failed == nil:
			t.Errorf("%q is refused", text)
		}
	})
}

func TestHugeJSONIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"numbers":        "[" + strings.Repeat("1,", 2<<20-2) + "1]",
		"lists":          "[" + strings.Repeat("[],", 1<<20) + "1]",
		"objects":        "[" + strings.Repeat(`{"a":1},`, 1<<19) + "1]",
		"fewer objects":  "[" + strings.Repeat(`{"a":1},`, 14_000) + "1]",
		"depth":          strings.Repeat("[", 4<<20),
		"depth of names": strings.Repeat(`{"a":`, 800_000),
		"names":          "{" + strings.Repeat(`"a":1,`, 600_000) + `"b":1}`,
		"escapes":        `"` + strings.Repeat(`\n`, 2<<20-1) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			var least uint64 = 1 << 60
			for range 3 { // something else may allocate meanwhile
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, _ = parseJSON([]byte(text))
				runtime.ReadMemStats(&after)
				least = min(least, after.TotalAlloc-before.TotalAlloc)
			}
			if bytes := int64(least) - int64(len(text)); bytes > 16<<20 {
				t.Errorf("%s takes %d KiB", name, bytes>>10)
			}
		})
	}
}

func BenchmarkJSON(b *testing.B) {
	text := []byte(`{"query":"query($user:UserRef!){can(user:$user,organization:{code:\"acme\"},permission:\"billing:approve\")}","variables":{"user":{"email":"ada.lovelace@acme.example"}}}`)
	for b.Loop() {
		if _, err := parseJSON(text); err != nil {
			b.Fatal(err)
		}
	}
}
