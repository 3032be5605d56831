package graph_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"roster/graph/graphtest"
)

// oursBegin begins each hash that the servers under test make.
const oursBegin = "$argon2id$v=19$m=8,t=1,p=1$"

// importedHashes has a hash of importedPassword of each kind that other programs make, in its
// stored form. Package credential says where they are from.
var importedHashes = map[string]string{
	"argon2i":            "$argon2i$v=19$m=1024,t=2,p=1$c29tZXNhbHQ$ngmGPD3IF8E6qR1Ip7Gs0c8EUYPHLDRXLSziH4os/AI",
	"bcrypt":             "$2b$04$abcdefghijklmnopqrstuueLQJgFOUUS4JngiGCTqjUXyqXRCc6.C",
	"bcrypt with a salt": "$bcrypt-salted$prefix$cGVwcGVy$2b$04$abcdefghijklmnopqrstuuTCRGdRKtSjgWUh7JfKv2bWJScpD7h7G",
	"WordPress 6.8":      "$wp$2y$04$abcdefghijklmnopqrstuu8oTejyhuewcR8Ocpw7lKR5lHrjGQS52",
	"phpass":             "$P$BIQRaTwmfcq/Gk8S9CcJnNH340hYEl1",
	"md5-crypt":          "$1$saltsalt$BjTayDheNQNmNtbW5Y9CM1",
	"sha512-crypt":       "$6$saltstring$H.E2QNEzBNNr6XbkfNXSpMmfP86Banj6tZid2N0Y6EKjmABQdMWjQpLHFw0ngjHaa1KD8Secgc4gC2JEsFFSg.",
	"pbkdf2":             "$pbkdf2-sha512$1000$c29tZXNhbHRzb21lc2FsdA$zO49q9Ha8ealkD6yfmoENJ0ZHI4K/bkAjB9DH7qkiIAviRsDdegyqhGd0xynDbv/iJi5ViTgc0.KO87MySeowg",
	"pbkdf2 of Django":   "pbkdf2_sha256$1000$textsalt$qPnAcPe7PqrHJvj5lb+l5dTo+pO2XPNnDTEqlaSWCCA=",
	"scrypt":             "$scrypt$ln=10,r=8,p=1$c29tZXNhbHRzb21lc2FsdA$cyeYJqaqKghtkUUMvmXOYa7yjhSfAWXXQRqE8BCDB2y4wc0zcTVph6u8lS/IhB4u6lK4+21BAtXoWinbrJkwDA",
	"digest":             "$digest$a=sha1,o=suffix$c2FsdA$SAcmgyiJgECSOO1K3iB0wfEnous",
	"HMAC":               "$digest$a=md5,k=a2V5$$cxRF/KM2Ft3gHfchboT82A",
	"LDAP":               "{SSHA256}AxmycP+U3QjUHPTF19zaRnAleoimQEoZ3FY8cmCWuxtzYWx0c2FsdA==",
}

const importedPassword = "tall trees in winter"

// People who come with the hash of another program sign in with their password. From then on
// it has a hash of ours.
func TestImportedHashesSignIn(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	for name, hash := range importedHashes {
		email := strings.ReplaceAll(strings.ToLower(name), " ", "-") + "@example.com"
		t.Run(name, func(t *testing.T) {
			stored := func() string {
				return graphtest.Rows[string](t, b, "select p.hash from passwords p join users u on u.id = p.user_id where u.email = $1 and not p.temporary", email)[0]
			}
			a := b.Ask(t, `mutation($input: CreateUserInput!) { createUser(input: $input) { user { identities { provider subject } } } }`, object{"input": object{"email": email, "passwordHash": hash}})
			if got := a.Text("createUser.user.identities.0.subject"); got != email || stored() != hash {
				t.Fatalf("%s, with %s", a.Body, stored())
			}
			if a := signIn(t, b, object{"email": email, "password": importedPassword + "s"}); a.Codes() != "UNAUTHENTICATED" || stored() != hash {
				t.Errorf("%s, with %s", a.Body, stored())
			}
			wantSession(t, signIn(t, b, object{"email": email, "password": importedPassword}))
			ours := stored()
			if !strings.HasPrefix(ours, oursBegin) {
				t.Errorf("the hash is %s", ours)
			}
			wantSession(t, signIn(t, b, object{"email": email, "password": importedPassword}))
			if again := stored(); again != ours {
				t.Errorf("it is replaced again, by %s", again)
			}
		})
	}
}

// People whom a file has brought with the hash of another program sign in with their password.
// From then on it has a hash of ours.
func TestHashesOfFilesSignIn(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.WorkOnImports(t)
	const (
		ofFirebase = `{"localId":"f1","email":"firebase@x.example","emailVerified":true,"passwordHash":"lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==","salt":"42xEC+ixf3L2lw=="}` + "\n"
		ofAuth0    = `[{"email":"auth0@x.example","custom_password_hash":{"algorithm":"sha256","hash":{"value":"%x","encoding":"hex"},"salt":{"value":"pepper","position":"suffix"}}}]`
	)
	peppered := sha256.Sum256([]byte(importedPassword + "pepper"))
	first := sha256.Sum256([]byte("salt" + importedPassword))
	for _, c := range []struct {
		name, file string
		input      object
	}{
		{"CSV", fmt.Sprintf("email,hashed_password,hashing_method,salt\nbcrypt@x.example,%s,bcrypt,\nsha256@x.example,%x,sha256,salt\nphpass@x.example,%s,wordpress,\n", importedHashes["bcrypt"], first, importedHashes["phpass"]), object{}},
		{"Auth0", fmt.Sprintf(ofAuth0, peppered), object{}},
		// The example of https://github.com/firebase/scrypt.
		{"Firebase", ofFirebase, object{"firebase": object{"signerKey": "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==", "saltSeparator": "Bw==", "rounds": 8, "memoryCost": 14}}},
	} {
		id := b.Plan(t, c.input, c.name, c.file)
		b.Carry(t, "applyImport", id, "APPLIED")
	}
	for name, password := range map[string]string{"bcrypt": importedPassword, "sha256": importedPassword, "phpass": importedPassword, "auth0": importedPassword, "firebase": "user1password"} {
		t.Run(name, func(t *testing.T) {
			email := name + "@x.example"
			stored := func() string {
				return strings.Join(graphtest.Rows[string](t, b, "select p.hash from passwords p join users u on u.id = p.user_id where u.email = $1 and not p.temporary", email), " ")
			}
			brought := stored()
			if a := signIn(t, b, object{"email": email, "password": password + "s"}); a.Codes() != "UNAUTHENTICATED" || stored() != brought {
				t.Errorf("%s, with %s", a.Body, stored())
			}
			wantSession(t, signIn(t, b, object{"email": email, "password": password}))
			if ours := stored(); !strings.HasPrefix(ours, oursBegin) || ours == brought {
				t.Errorf("the hash is %s", ours)
			}
			wantSession(t, signIn(t, b, object{"email": email, "password": password}))
		})
	}
}

// The password of a new user works at once, and is theirs to keep. It is checked like one
// that people choose, before anything is stored.
func TestUsersWithPasswords(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, `mutation { createPermission(input: {key: "invoices:read"}) { permission { id } } createRole(input: {key: "clerk", permissions: [{key: "invoices:read"}]}) { role { id } } }`)
	const create = `mutation($input: CreateUserInput!) { createUser(input: $input) { user { email } impact { gained { totalCount } } } }`
	a := b.Ask(t, create, object{"input": object{"email": "ada@example.com", "password": password, "roles": []object{{"key": "clerk"}}}})
	if a.Text("createUser.user.email") != "ada@example.com" || a.At("createUser.impact.gained.totalCount") != 1.0 {
		t.Errorf("%s", a.Body)
	}
	wantSession(t, signIn(t, b, object{"email": "ada@example.com", "password": password}))
	reader := b.Holding(t, "", "roster:users:read")
	before := b.State(t)
	for name, c := range map[string]struct {
		key, codes string
		input      object
		fields     string
	}{
		"short":              {b.Key, "INVALID", object{"email": "bob@example.com", "password": "short"}, "input.password"},
		"the address":        {b.Key, "INVALID", object{"email": "bob.of.the.builders@example.com", "password": "bob.of.the.builders@example.com"}, "input.password"},
		"and its hash":       {b.Key, "INVALID", object{"email": "bob@example.com", "password": password, "passwordHash": importedHashes["bcrypt"]}, "input.passwordHash"},
		"with other faults":  {b.Key, "INVALID INVALID INVALID", object{"email": "bob", "phone": "1", "password": "short"}, "input.email input.phone input.password"},
		"of a user who is":   {b.Key, "CONFLICT", object{"email": "ada@example.com", "password": password}, "input.email"},
		"without permission": {reader, "FORBIDDEN", object{"email": "bob@example.com", "password": password}, ""},
		"a malformed hash":   {b.Key, "INVALID", object{"email": "bob@example.com", "passwordHash": password}, "input.passwordHash"},
		"an expensive hash":  {b.Key, "INVALID", object{"email": "bob@example.com", "passwordHash": strings.Replace(importedHashes["bcrypt"], "$04$", "$31$", 1)}, "input.passwordHash"},
	} {
		t.Run(name, func(t *testing.T) {
			a := b.As(t, c.key, create, object{"input": c.input})
			var fields []string
			for i := range a.Errors {
				fields = append(fields, a.Field(i))
			}
			if a.Codes() != c.codes || strings.Join(fields, " ") != c.fields {
				t.Errorf("%s", a.Body)
			}
			b.Unchanged(t, before)
		})
	}
	if where := b.Search(t, password); len(where) > 0 {
		t.Errorf("the password is in %v", where)
	}
}
