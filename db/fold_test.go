package db

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Folding is settled: what is folded folds to itself, so that a key can be looked
// up by itself. Characters that show nothing make no difference wherever they are.
func TestFoldIsSettled(t *testing.T) {
	t.Parallel()
	settled := func(text string) {
		if once := Fold(text); Fold(once) != once {
			t.Errorf("%+q folds to %+q, and that to %+q", text, once, Fold(once))
		}
	}
	ignorable := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		settled(string(r))
		if Ignorable(r) {
			ignorable++
			for _, text := range []string{"a" + string(r) + "b", string(r) + "ab", "ab" + string(r), "a" + string(r) + string(r) + "b"} {
				if Fold(text) != "ab" {
					t.Errorf("%+q folds to %+q", text, Fold(text))
				}
			}
		}
	}
	if ignorable < 4000 { // Unicode has 4,174 of them (DerivedCoreProperties.txt)
		t.Errorf("%d ignorable characters", ignorable)
	}
	random := rand.New(rand.NewPCG(1, 2))
	odd := []rune("aAßſİıΣςẞᾳǰŉΐ\u0301\u0345\u034f\u0327\u200d\u00ad\u3164\u1160\u1100\u1161\uffa0\ufdfa\u0958\u0f71\u0f72\uab70Ꭰ\u13f8ﬃ\u1e9b\u0323K\u2126\U0001d15e")
	for range 50_000 {
		text := make([]rune, 1+random.IntN(6))
		for i := range text {
			text[i] = odd[random.IntN(len(odd))]
		}
		settled(string(text))
	}
}

// The key by which names are sorted fits into an index, whatever a name folds to.
func TestSortKeyIsBounded(t *testing.T) {
	t.Parallel()
	for _, letter := range []string{"ﷺ", "㌖", "x", "𝔸"} {
		key := sortKey(strings.Repeat(letter, 401))
		if len(key) > maxSortKey || !utf8.ValidString(key) || !strings.HasPrefix(Fold(strings.Repeat(letter, 401)), key) {
			t.Errorf("%s: %d bytes", letter, len(key))
		}
	}
}

func TestAddressesThatAreOne(t *testing.T) {
	t.Parallel()
	for key, all := range map[string][]string{
		"ada@acme.example":    {"ada@acme.example", "ADA@Acme.Example", "ada@acme。example", "ada@acme．example", "ａda@acme.example", "a\u200bda@acme.example", "ada\u00ad@ac\u00adme.example", "ada@acme.example\u2060", "ada＠acme.example"},
		"ada@bücher.example":  {"ada@bücher.example", "ada@BÜCHER.example", "ada@xn--bcher-kva.example", "ada@XN--BCHER-KVA.example", "ada@bu\u0308cher.example"},
		"ada@straße.example":  {"ada@straße.example", "ada@xn--strae-oqa.example"},
		"ada@strasse.example": {"ada@strasse.example"},
		"ada@a..b":            {"ada@a..b"}, // which no user can have
		"nobody":              {"nobody", "NOBODY"},
		"a@x@acme.example":    {"a@x@acme.example"},
		"@":                   {"@"},
		"":                    {"", "\u200b"},
	} {
		t.Run(key, func(t *testing.T) {
			for _, address := range all {
				if got := EmailKey(address); got != key {
					t.Errorf("%+q is compared as %+q, want %+q", address, got, key)
				}
				if again := EmailKey(key); again != key {
					t.Errorf("%+q is compared as %+q", key, again)
				}
			}
		})
	}
}

func TestDomains(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", ".", "acme.example.", ".acme.example", "a..b", "-a.example", "a-.example", "a_b.example", "a b.example", "xn--.example", "xn--a.example", "xn--0.example",
		"a\u200bb\u200d.example", "a\u200d.example", "a\u202e.example", "\u00ad.example", "אa.example", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 127) + "aa", "a@b.example",
	} {
		if domain, err := Domain(name); err == nil {
			t.Errorf("%+q is the domain %+q", name, domain)
		}
	}
	for name, want := range map[string]string{"r3---sn.example": "r3---sn.example", "LOCALHOST": "localhost", "क्\u200dष.example": "क्\u200dष.example"} {
		if domain, err := Domain(name); err != nil || domain != want {
			t.Errorf("%+q: %+q, %v", name, domain, err)
		}
	}
}
