package directory_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/99designs/gqlgen/graphql"

	"roster/db"
	"roster/directory"
)

// A character that shows nothing does not make another name: in each kind of name,
// wherever it stands, it is refused, or leaves the form of comparison as it is.
// Domains follow IDNA, by which joiners make another domain in scripts that need
// them.
func TestNamesThatLookAlike(t *testing.T) {
	t.Parallel()
	kinds := directory.NameKinds
	if got := slices.Sorted(maps.Keys(kinds)); len(got) != 7 {
		t.Fatalf("kinds of names: %v", got)
	}
	accepted := 0
	for r := rune(0xAD); r <= unicode.MaxRune; r++ {
		if !db.Ignorable(r) && r != 0x2800 {
			continue
		}
		for kind, judge := range kinds {
			for _, around := range [][2]string{{"a", "b"}, {"ab", ""}, {"", "ab"}, {"", ""}, {"نامه", "ای"}, {"क्", "ष"}, {"👩", "🚀"}, {"葛", "城"}, {"ᠮ", "ᠮ"}} {
				plain, _ := judge(around[0] + around[1])
				key, ok := judge(around[0] + string(r) + around[1])
				if joiner := r == 0x200C || r == 0x200D; !ok || joiner && kind == "domain" && around[0] > "\x7f" {
					continue
				}
				if accepted++; key != plain || key == "" || strings.ContainsFunc(key, db.Ignorable) {
					t.Errorf("%s %+q is taken, and compared as %+q, not %+q", kind, around[0]+string(r)+around[1], key, plain)
				}
			}
		}
	}
	if accepted == 0 {
		t.Error("no script gets its joiners")
	}
}

// Names have the characters that their scripts need, and no others that show
// nothing.
func TestNamesOfAllScripts(t *testing.T) {
	t.Parallel()
	for kind, names := range map[string]map[string]bool{
		"name": {
			"نامه\u200cای": true, "क्\u200dष": true, "क्\u200cष": true, "র\u200d্য": true, "👩\u200d🚀": true, "👩🏽\u200d🚀 Ada": true, "❤\ufe0f": true, "1\ufe0f\u20e3": true, "葛\U000e0100城": true, "ᠮ\u180bᠠ": true,
			"O'Brien-Müller": true, "ﷺ": true, "\u0600\u0661": true, "Ada\u3000Lovelace": true,
			"ab\u200c": false, "a\u200db": false, "a\u200cb": false, "نامه\u200c": false, "a\ufe0f": false, "a\U000e0100": false, "\u3164": false, "\u2800": false, "a\u202eb": false, "a\u200b": false, "a\u2028b": false, "\U000e0041": false, "\u200d": false, "نامه\u200c\u200cای": false, "x\ufff9": false,
		},
		"username": {
			"ada": true, "Ada.Lovelace+x": true, "ädä": true, "山田": true, "نامه\u200cای": true, "ａda": true, "गंगा": true,
			"a b": false, "a@b": false, "a\u200db": false, "\u200b": false, "a\u202eb": false, "ﷺ": false, "a😀": false, "aא": false,
		},
		"email": {
			"ada@acme.example": true, "ada@localhost": true, "δοκιμή@παράδειγμα.δοκιμή": true, "ada@xn--bcher-kva.example": true, "o'brien+x@acme.example": true,
			"ada@acme.example.": false, "a@b..example": false, "a\u00adda@acme.example": false, "ada@acme.example\u2060": false, "ada@-a.example": false, "ada@xn--a.example": false, "ada@a_b.example": false, "ada\ufe0f@acme.example": false,
		},
	} {
		t.Run(kind, func(t *testing.T) {
			for name, want := range names {
				judge := directory.NameKinds[kind]
				if kind == "email" {
					judge = directory.JudgeEmail
				}
				if _, ok := judge(name); ok != want {
					t.Errorf("%s %+q is taken: %v", kind, name, ok)
				}
			}
		})
	}
}

// A text is stored as the database will print it, so that what is answered right
// after a write is what is read later on. What it prints as is bounded.
func TestPropertiesAreAnsweredAsTheyAreRead(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	random := rand.New(rand.NewPCG(1, 2))
	numbers := []string{"1E2", "1e308", "-0", "-0.0", "0.00", "0e5", "0e-5", "1.50e1", "1.5e-3", "1e-320", "12.340", "-12e-1", "100", "1.0e2", "-1.25E+2"}
	for range 300 {
		numbers = append(numbers, fmt.Sprintf("%d.%0*de%d", random.IntN(100)-50, 1+random.IntN(4), random.IntN(10), random.IntN(12)-6))
	}
	texts := []string{
		`{"n": [` + strings.Join(numbers, ",") + `]}`, `null`, `{}`, ` { "b" : 1, "a" : {"long": [], "z": {}}, "aa": [true, false, null] } `,
		`{"t": "\u0001\u001f\b\f\n\r\t\"\\\/ é \u2028 \ud83d\ude00 <&> \\u0000 \u007f"}`, `{"é": 1, "zz": 2, "a\"": 3, "": 4}`,
	}
	for _, text := range texts {
		user := must(b.CreateUser(b.ctx, directory.CreateUserInput{Username: new(fmt.Sprintf("u%d", random.Uint64())), Properties: json.RawMessage(text)}))(t)
		id := user.ID.String()
		read := must(b.User(b.ctx, directory.UserRef{ID: &id}, nil))(t)
		if string(read.Properties) != string(user.Properties) {
			t.Errorf("%s\nis answered as %s\nand read as   %s", text, user.Properties, read.Properties)
		}
		again := must(b.UpdateUser(b.ctx, directory.UpdateUserInput{User: directory.UserRef{ID: &id}, Properties: graphql.OmittableOf(json.RawMessage(text))}))(t)
		if again.Version != 1 {
			t.Errorf("%s: the same is a change", text)
		}
	}
	for _, text := range []string{
		`{"n": [` + strings.TrimSuffix(strings.Repeat("1e308,", 1380), ",") + `]}`, `{"n": 0e-30000}`, `{"n": 1e-400}`, `{"n": 0e99999999999}`, `{"n": [` + strings.TrimSuffix(strings.Repeat("1e-300,", 60), ",") + `]}`,
		`{"t": "` + strings.Repeat("x", 16<<10) + `"}`, `[]`, `{`, `{"a":` + strings.Repeat(" ", 200<<10) + `1}`,
	} {
		_, err := b.CreateUser(b.ctx, directory.CreateUserInput{Username: new("refused"), Properties: json.RawMessage(text)})
		wantFaults(t, err, "INVALID input.properties")
	}
}

// A user whom an older rule let have a name is changed, suspended and restored
// like any other, as long as that name stays.
func TestNamesOfAnOlderRule(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	must(b.CreateUser(b.ctx, directory.CreateUserInput{Email: new("ada@acme.example")}))(t)
	id := must(b.CreateUser(b.ctx, directory.CreateUserInput{Username: new("x"), GivenName: new("X")}))(t).ID
	one[int](b, "with u as (update users set email = e'ada\\u200B@acme.example', email_key = e'ada\\u200B@acme.example', email_verified = true, username = '😀', username_key = '😀' where id = $1 returning 1) select 1 from u", id)
	ref := directory.UserRef{ID: new(id.String())}
	changed := must(b.UpdateUser(b.ctx, directory.UpdateUserInput{User: ref, FamilyName: graphql.OmittableOf(new("Y")), Username: graphql.OmittableOf(new("😀"))}))(t)
	if changed.Name != "X Y" || !changed.EmailVerified || *changed.EmailKey != "ada\u200b@acme.example" {
		t.Errorf("%+v", changed)
	}
	must(b.SuspendUser(b.ctx, directory.UserActionInput{User: ref}))(t)
	must(b.RestoreUser(b.ctx, directory.UserActionInput{User: ref}))(t)
	_, err := b.UpdateUser(b.ctx, directory.UpdateUserInput{User: ref, Email: graphql.OmittableOf(new("ADA@acme.example")), Username: graphql.OmittableOf(new("😀😀"))})
	wantFaults(t, err, "CONFLICT input.email, INVALID input.username")
}
