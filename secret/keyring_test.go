package secret

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func mustParse(t *testing.T, keys ...Text) *Keyring {
	t.Helper()
	var texts []string
	for _, key := range keys {
		texts = append(texts, key.Reveal())
	}
	ring, err := ParseKeyring(strings.Join(texts, ", "))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// Sealed bytes are opened by the same key for the same purpose, and by nothing else,
// whichever bit of it is altered and wherever it is cut.
func TestKeyring(t *testing.T) {
	t.Parallel()
	const canary, purpose = "s3cr3t-canary", "signing key"
	ring := mustParse(t, NewKey())
	sealed := ring.Seal(purpose, []byte(canary))
	if plain, err := ring.Open(purpose, sealed); err != nil || string(plain) != canary {
		t.Errorf("%q, %v", plain, err)
	}
	if plain, err := ring.Open(purpose, ring.Seal(purpose, nil)); err != nil || len(plain) != 0 {
		t.Errorf("nothing: %q, %v", plain, err)
	}
	if bytes.Contains(sealed, []byte(canary)) || bytes.Equal(sealed, ring.Seal(purpose, []byte(canary))) {
		t.Error("it can be read, or recognised")
	}
	if _, err := mustParse(t, NewKey()).Open(purpose, sealed); !errors.Is(err, ErrUnknownKey) {
		t.Error("another key:", err)
	}
	for _, other := range []string{"", "mail", "signing", "signing key "} {
		if _, err := ring.Open(other, sealed); !errors.Is(err, ErrNotSealed) {
			t.Errorf("for %q: %v", other, err)
		}
	}
	for i := range 8 * len(sealed) {
		altered := bytes.Clone(sealed)
		altered[i/8] ^= 1 << (i % 8)
		if _, err := ring.Open(purpose, altered); err == nil {
			t.Errorf("bit %d is altered", i)
		}
	}
	for n := range sealed {
		if _, err := ring.Open(purpose, sealed[:n]); err == nil {
			t.Errorf("cut to %d bytes", n)
		}
	}
	if _, err := ring.Open(purpose, append(bytes.Clone(sealed), 0)); err == nil {
		t.Error("there is more behind it")
	}
}

// The first key seals and every key opens, so that keys can be replaced.
func TestKeyringIsReplaced(t *testing.T) {
	t.Parallel()
	older, newer := NewKey(), NewKey()
	sealed := mustParse(t, older).Seal("mail", []byte("text"))
	both := mustParse(t, newer, older)
	if plain, err := both.Open("mail", sealed); err != nil || string(plain) != "text" || both.Current(sealed) {
		t.Errorf("%q, %v", plain, err)
	}
	again := both.Seal("mail", []byte("text"))
	if plain, err := mustParse(t, newer).Open("mail", again); err != nil || string(plain) != "text" || !both.Current(again) || both.Current(nil) {
		t.Errorf("sealed again: %q, %v", plain, err)
	}
}

func TestParseKeyring(t *testing.T) {
	t.Parallel()
	good := NewKey().Reveal()
	for name, c := range map[string]struct{ text, want string }{
		"one":              {good, ""},
		"with spaces":      {" " + good + "\n", ""},
		"several":          {good + "," + NewKey().Reveal(), ""},
		"empty":            {"", "key 1 is not 32 bytes"},
		"a comma too many": {good + ",", "key 2 is not 32 bytes"},
		"short":            {good[4:], "key 1 is not 32 bytes"},
		"long":             {"AAAA" + good, "key 1 is not 32 bytes"},
		"not base64":       {NewKey().Reveal() + "," + strings.Repeat("!", 44), "key 2 is not 32 bytes"},
		"twice":            {good + "," + good, "key 2 is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseKeyring(c.text)
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), good)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// A keyring is not printed, nor is its text when it is refused.
func TestKeyringIsNotPrinted(t *testing.T) {
	t.Parallel()
	ring := mustParse(t, NewKey())
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
		if got := fmt.Sprintf(verb, ring); got != Shown {
			t.Errorf("%s: %s", verb, got)
		}
	}
}
