package main

import (
	"regexp"
	"strings"
	"testing"

	"roster/db/dbtest"
	"roster/secret"
)

// The public keys are published, and rotate by command. A server without the secret key of
// the others, or with another one, does not start, and makes none.
func TestSigningKeys(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.env = []string{"DATABASE_URL=" + dbtest.DSN(t)}
	r := p.start()
	r.wantPage("/.well-known/jwks.json", 200, `{"keys":[{"use":"sig","kty":"EC","kid":"`)
	line := regexp.MustCompile(`(?m)^[A-Za-z0-9_-]{43} ES256 (signs|next|retired) +made .*Z, signs from .*Z$`)
	for _, command := range []string{"list", "rotate"} {
		keys := p.launch("keys", command)
		keys.wantEnd(0)
		if said := keys.stdout.String(); len(line.FindAllString(said, -1)) != 2 || strings.Contains(said, "The next key signs from ") != (command == "rotate") {
			t.Errorf("keys %s says\n%s", command, said)
		}
	}
	for name, c := range map[string]struct{ key, want string }{
		"no key":      {"", "give this server the secret key that made them"},
		"another key": {secret.NewKey().Reveal(), "ROSTER_SECRET_KEY is not the secret key that the database was used with"},
	} {
		t.Run(name, func(t *testing.T) {
			other := setup(t)
			other.env = []string{p.env[0], "ROSTER_SECRET_KEY=" + c.key, "ROSTER_ADDR=localhost:0"}
			other.launch().wantRefusal(c.want)
			if files := names(t, other.dir); len(files) > 0 {
				t.Errorf("the folder now holds %v", files)
			}
		})
	}
}
