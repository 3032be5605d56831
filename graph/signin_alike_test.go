package graph_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"roster/db/dbtest"
	"roster/graph/graphtest"
)

// alikeDoors are what somebody can ask about an account that is not theirs. Each prepares a
// question about the account of that address, and returns it.
var alikeDoors = map[string]func(t *testing.T, b *graphtest.Server, stranger, email string) func() *graphtest.Answer{
	"wrong password": func(t *testing.T, b *graphtest.Server, _, email string) func() *graphtest.Answer {
		return func() *graphtest.Answer {
			return signIn(t, b, object{"email": email, "password": "wrong " + password})
		}
	},
	"wrong password with the username": func(t *testing.T, b *graphtest.Server, _, email string) func() *graphtest.Answer {
		return func() *graphtest.Answer {
			return signIn(t, b, object{"username": strings.SplitN(email, "@", 2)[0], "password": "wrong " + password})
		}
	},
	"no password": func(t *testing.T, b *graphtest.Server, _, email string) func() *graphtest.Answer {
		return func() *graphtest.Answer { return signIn(t, b, object{"email": email}) }
	},
	"wrong code": func(t *testing.T, b *graphtest.Server, _, email string) func() *graphtest.Answer {
		ticket := wantStep(t, signIn(t, b, object{"email": email}), "EMAIL_CODE")
		return func() *graphtest.Answer {
			return continueSignIn(t, b, object{"ticket": ticket, "code": "wrong"})
		}
	},
	"wrong password as a later step": func(t *testing.T, b *graphtest.Server, _, email string) func() *graphtest.Answer {
		settings(t, b, "allowCodeSignIn: false")
		ticket := wantStep(t, signIn(t, b, object{"email": email}), "PASSWORD")
		settings(t, b, "allowCodeSignIn: true")
		return func() *graphtest.Answer {
			return continueSignIn(t, b, object{"ticket": ticket, "password": "wrong " + password})
		}
	},
	"sign-up": func(t *testing.T, b *graphtest.Server, _, email string) func() *graphtest.Answer {
		return func() *graphtest.Answer { return signUp(t, b, object{"email": email}) }
	},
	"sign-up with a password": func(t *testing.T, b *graphtest.Server, _, email string) func() *graphtest.Answer {
		return func() *graphtest.Answer { return signUp(t, b, object{"email": email, "password": password}) }
	},
	"wrong code of a sign-up": func(t *testing.T, b *graphtest.Server, _, email string) func() *graphtest.Answer {
		ticket := wantStep(t, signUp(t, b, object{"email": email}), "EMAIL_CODE")
		return func() *graphtest.Answer {
			return continueSignIn(t, b, object{"ticket": ticket, "code": "wrong"})
		}
	},
	"invitation by a link": func(t *testing.T, b *graphtest.Server, _, email string) func() *graphtest.Answer {
		_, token := invite(t, b, b.Key, object{"email": email, "organization": object{"code": "host"}, "sendEmail": false})
		return func() *graphtest.Answer { return accept(t, b, "", object{"token": token, "password": password}) }
	},
	"wrong code of an invitation": func(t *testing.T, b *graphtest.Server, _, email string) func() *graphtest.Answer {
		_, token := invite(t, b, b.Key, object{"email": email, "organization": object{"code": "host"}, "sendEmail": false})
		ticket := wantStep(t, accept(t, b, "", object{"token": token}), "EMAIL_CODE")
		return func() *graphtest.Answer {
			return continueSignIn(t, b, object{"ticket": ticket, "code": "wrong"})
		}
	},
	"reset": func(t *testing.T, b *graphtest.Server, _, email string) func() *graphtest.Answer {
		return func() *graphtest.Answer { return requestReset(t, b, email) }
	},
	"wrong code of a reset": func(t *testing.T, b *graphtest.Server, _, email string) func() *graphtest.Answer {
		ticket := requestReset(t, b, email).Text("payload.step.ticket")
		return func() *graphtest.Answer { return resetPassword(t, b, ticket, "wrong") }
	},
	"change to the address": func(t *testing.T, b *graphtest.Server, stranger, email string) func() *graphtest.Answer {
		return func() *graphtest.Answer {
			return b.As(t, stranger, `mutation($input: RequestEmailChangeInput!) { payload: requestEmailChange(input: $input) { step { ticket next expiresAt organizations { code } } } }`, object{"input": object{"email": email}})
		}
	},
}

// Two runs of the same statement differ in values, and in which of them are left to the
// database, and returned.
var (
	returning = regexp.MustCompile(`(?s) RETURNING .*`)
	value     = regexp.MustCompile(`'[^']*'|\b(NULL|DEFAULT)\b|\b\d+(\.\d+)?\b`)
)

// asked returns the answer, the statements that it took, without their values and those
// of others at the same time, and how often it hashed a password.
func asked(b *graphtest.Server, traced *dbtest.Statements, question func() *graphtest.Answer) (*graphtest.Answer, []string) {
	traced.Take()
	hashed := b.SignIn.Passwords.Hashed()
	a := question()
	hashed = b.SignIn.Passwords.Hashed() - hashed
	texts := slices.DeleteFunc(traced.Take(), func(text string) bool {
		return strings.Contains(text, "outbox") && !strings.Contains(text, "insert into outbox") // of who sends mails
	})
	for i, text := range texts {
		texts[i] = value.ReplaceAllString(returning.ReplaceAllString(text, ""), "?")
	}
	return a, append(texts, fmt.Sprint("hashed ", hashed))
}

// Nobody learns whether there is an account: the answers are the same, and so are the
// statements and the hashes that they take.
func TestAccountsAreAlike(t *testing.T) {
	t.Parallel()
	traced := &dbtest.Statements{}
	b := graphtest.New(t, traced)
	const unknown = "unknown@acme.example"
	for _, name := range []string{"known", "codes", "suspended", "stranger"} {
		b.Ask(t, `mutation($e: String, $u: String) { createUser(input: {email: $e, username: $u, organizations: [{code: "default"}]}) { user { id } } }`, object{"e": name + "@acme.example", "u": name})
	}
	b.Ask(t, `mutation { createOrganization(input: {code: "host", name: "Host"}) { organization { id } } }`)
	b.SignedIn(t, "known@acme.example", "default")
	b.SignedIn(t, "suspended@acme.example", "default")
	stranger := b.SignedIn(t, "stranger@acme.example", "default")
	b.Ask(t, `mutation { suspendUser(input: {user: {username: "suspended"}}) { user { id } } }`)
	for name, door := range alikeDoors {
		ask := func(t *testing.T, email string) (string, []string) {
			b.Execute(t, "delete from attempts")
			a, statements := asked(b, traced, door(t, b, stranger, email))
			return fmt.Sprintf("%d %s", a.Status, steady(a)), statements
		}
		for _, account := range []string{"known", "codes", "suspended"} {
			t.Run(name+", "+account, func(t *testing.T) {
				// Now and then a server reads what has changed of the catalogue.
				var last string
				for range 4 {
					wantBody, want := ask(t, unknown)
					body, got := ask(t, account+"@acme.example")
					if body != wantBody {
						t.Fatalf("the answer is\n%s\nand to an unknown account\n%s", body, wantBody)
					}
					if slices.Equal(got, want) {
						return
					}
					last = strings.Join(got, "\n") + "\nand of an unknown account\n" + strings.Join(want, "\n")
				}
				t.Errorf("the statements are\n%s", last)
			})
		}
	}
}
