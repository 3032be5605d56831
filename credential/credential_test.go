package credential

import (
	"bytes"
	"strings"
	"testing"

	"roster/problem"
	"roster/secret"
)

// New never returns the same secret twice. Its secrets have the form of an API key, and
// Shown shows little of them.
func TestNew(t *testing.T) {
	t.Parallel()
	one, other := New(), New()
	if err := Check(one); err != nil || !hasForm(one) || one.Equal(other) || bytes.Equal(Hash(one), Hash(other)) {
		t.Errorf("%s and %s: %v", one.Reveal(), other.Reveal(), err)
	}
	if shown := Shown(one); len(shown) != shownLength || !strings.HasPrefix(one.Reveal(), shown) || !bytes.Equal(Hash(one), Hash(secret.New(one.Reveal()))) {
		t.Errorf("%s of %s", shown, one.Reveal())
	}
}

// A secret that somebody chooses is long, and can be sent.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, key string
		ok        bool
	}{
		{name: "shortest", key: "rk_" + strings.Repeat("a", minChosen), ok: true},
		{name: "longest", key: "rk_" + strings.Repeat("a", maxLength-len(prefix)), ok: true},
		{name: "too short", key: "rk_" + strings.Repeat("a", minChosen-1), ok: false},
		{name: "too long", key: "rk_" + strings.Repeat("a", maxLength), ok: false},
		{name: "another prefix", key: "sk_" + strings.Repeat("a", minChosen), ok: false},
		{name: "a space", key: "rk_" + strings.Repeat("a", minChosen) + " b", ok: false},
		{name: "no ASCII", key: "rk_" + strings.Repeat("ä", minChosen), ok: false},
		{name: "nothing", key: "", ok: false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := Check(secret.New(c.key)); c.ok && err != nil || !c.ok && !problem.Is(err, problem.Invalid) {
				t.Error(err)
			}
		})
	}
}
